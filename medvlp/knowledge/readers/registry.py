"""Read files as an ``Ontology``: the content of a file, or the names of the files in a folder, select the format.

To add a format, add a branch to ``read_ontology`` and a module next to ``obo`` and ``tsv``.
"""

from collections.abc import Iterable
from pathlib import Path

from medvlp.errors import KnowledgeError
from medvlp.knowledge.leave_out import NOTHING, LeaveOut
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.formats import detect_format
from medvlp.knowledge.readers.obo import read_obo
from medvlp.knowledge.readers.owl import read_owl
from medvlp.knowledge.readers.rrf import EVERYTHING, NAMES_FILE, UMLSFilter, read_rrf
from medvlp.knowledge.readers.tsv import ENTITIES_FILE, TRIPLES_FILE, read_tsv

_SUFFIXES = (".obo", ".owl", ".rdf")
"""Suffixes of the files of a folder that are read; a file that is named itself may have any."""
_FORMS = (
    f"an OBO or OWL file, a folder with *.obo or *.owl, or a folder with {ENTITIES_FILE} and {TRIPLES_FILE}, or with {NAMES_FILE} of UMLS"
)


def read_ontology(path: Path, *, related_synonyms: bool = False, language: str = "en", umls: UMLSFilter = EVERYTHING) -> Ontology:
    """Read one ontology.

    Args:
        path: an OBO file or an OWL, RDFS or SKOS file in RDF/XML; a folder of such files, which are merged in the order of their names; or
            a folder with ``entities.tsv`` and ``triples.tsv``, or with the RRF files of UMLS. Hidden files are ignored.
        related_synonyms: read a term's RELATED synonyms too, not only the EXACT ones. The TSV format does not distinguish them.
        language: language of the names in RDF/XML, as in ``xml:lang``.
        umls: which rows of the UMLS files to use.

    Raises:
        KnowledgeError: there is nothing in a supported format at ``path``, or nothing that can be used.
    """
    if path.is_file():
        return _read_file(path, related_synonyms, language)
    if not path.is_dir():
        raise KnowledgeError(f"no ontology at {path}: there is no such file or folder; give {_FORMS}")
    if (path / NAMES_FILE).exists():
        return read_rrf(path, umls)
    if (path / ENTITIES_FILE).exists() or (path / TRIPLES_FILE).exists():
        return read_tsv(path)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and file.is_file() and not _is_hidden(file))
    if not files:
        raise KnowledgeError(
            f"no ontology in the folder {path}: looked for {ENTITIES_FILE} with {TRIPLES_FILE}, {NAMES_FILE}, and for "
            + ", ".join(f"*{suffix}" for suffix in _SUFFIXES)
        )
    merged = Ontology.merge([_read_file(file, related_synonyms, language) for file in files])
    return Ontology(path.name, merged.concepts, merged.triples)


def _read_file(path: Path, related_synonyms: bool, language: str) -> Ontology:
    if detect_format(path) == "OBO":
        return read_obo(path, related_synonyms=related_synonyms)
    return read_owl(path, related_synonyms=related_synonyms, language=language)


def _is_hidden(path: Path) -> bool:
    """Whether a file is one of the ``._*`` that macOS writes beside every file on a foreign disk, or hidden otherwise."""
    return path.name.startswith(".")


def read_ontologies(
    paths: Iterable[Path],
    *,
    related_synonyms: bool = False,
    language: str = "en",
    umls: UMLSFilter = EVERYTHING,
    leave_out: LeaveOut = NOTHING,
) -> Ontology:
    """Read several ontologies and merge them; if names differ, the earlier path wins.

    Concepts are joined if they have the same identifier, or the same cross-reference to UMLS ("xref: UMLS_CUI:…"), which then becomes the
    identifier. A single ontology keeps its own identifiers.

    Args:
        paths: see ``read_ontology``, also for the next three.
        related_synonyms: read RELATED synonyms too.
        language: language of the names in RDF/XML.
        umls: which rows of the UMLS files to use.
        leave_out: concepts to leave out of each ontology before they are merged.

    Raises:
        KnowledgeError: no path is given, one of them cannot be read, or none has a concept that is to be left out.
    """
    ontologies = [read_ontology(path, related_synonyms=related_synonyms, language=language, umls=umls) for path in paths]
    if not ontologies:
        raise KnowledgeError(f"no ontology given: give at least one path ({_FORMS})")
    ontologies = leave_out.of(ontologies)
    if len(ontologies) == 1:
        return ontologies[0]
    return Ontology.merge([ontology.by_cross_reference() for ontology in ontologies])
