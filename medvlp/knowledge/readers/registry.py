"""Read files as an ``Ontology``: the kind of path selects the format.

To add a format, add a branch to ``read_ontology`` and a module next to ``obo`` and ``tsv``.
"""

from collections.abc import Iterable
from pathlib import Path

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.obo import OBO_SUFFIXES, read_obo
from medvlp.knowledge.readers.rrf import EVERYTHING, NAMES_FILE, UMLSFilter, read_rrf
from medvlp.knowledge.readers.tsv import ENTITIES_FILE, TRIPLES_FILE, read_tsv

_FORMS = f"an .obo or .owl file, a folder of such files, or a folder with {ENTITIES_FILE} and {TRIPLES_FILE}, or with {NAMES_FILE} of UMLS"


def read_ontology(path: Path, *, related_synonyms: bool = False, umls: UMLSFilter = EVERYTHING) -> Ontology:
    """Read one ontology.

    Args:
        path: an ``.obo`` or ``.owl`` file; a folder of such files, which are merged in the order of their names; or a folder
            with ``entities.tsv`` and ``triples.tsv``, or with the RRF files of UMLS.
        related_synonyms: read an OBO term's RELATED synonyms too, not only the EXACT ones. The TSV format does not distinguish them.
        umls: which rows of the UMLS files to use.

    Raises:
        KnowledgeError: there is nothing in a supported format at ``path``, or it is malformed.
    """
    if path.is_file() and path.suffix.lower() in OBO_SUFFIXES:
        return read_obo(path, related_synonyms=related_synonyms)
    if path.is_file():
        raise KnowledgeError(f"{path} is not a supported ontology; give {_FORMS}")
    if not path.is_dir():
        raise KnowledgeError(f"no ontology at {path}: there is no such file or folder; give {_FORMS}")
    if (path / NAMES_FILE).exists():
        return read_rrf(path, umls)
    if (path / ENTITIES_FILE).exists() or (path / TRIPLES_FILE).exists():
        return read_tsv(path)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in OBO_SUFFIXES)
    if not files:
        raise KnowledgeError(
            f"no ontology in the folder {path}: looked for {ENTITIES_FILE} with {TRIPLES_FILE}, {NAMES_FILE}, and for *.obo and *.owl"
        )
    merged = Ontology.merge([read_obo(file, related_synonyms=related_synonyms) for file in files])
    return Ontology(path.name, merged.concepts, merged.triples)


def read_ontologies(paths: Iterable[Path], *, related_synonyms: bool = False, umls: UMLSFilter = EVERYTHING) -> Ontology:
    """Read several ontologies and merge them; if names differ, the earlier path wins.

    Concepts are joined if they have the same identifier, or the same cross-reference to UMLS ("xref: UMLS_CUI:…"), which then becomes the
    identifier. A single ontology keeps its own identifiers.

    Raises:
        KnowledgeError: no path is given, or one of them cannot be read.
    """
    ontologies = [read_ontology(path, related_synonyms=related_synonyms, umls=umls) for path in paths]
    if not ontologies:
        raise KnowledgeError(f"no ontology given: give at least one path ({_FORMS})")
    if len(ontologies) == 1:
        return ontologies[0]
    return Ontology.merge([ontology.by_cross_reference() for ontology in ontologies])
