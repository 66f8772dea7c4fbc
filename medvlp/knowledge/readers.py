"""From files to an ``Ontology``: one entry for every supported form, chosen by what the path is.

A further form is one more branch in ``read_ontology`` and one module beside ``obo`` and ``tsv``.
"""

from collections.abc import Iterable
from pathlib import Path

from medvlp.errors import KnowledgeError
from medvlp.knowledge.obo import OBO_SUFFIXES, read_obo
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.tsv import ENTITIES_FILE, TRIPLES_FILE, read_tsv

_FORMS = f"an .obo or .owl file, a folder of such files, or a folder with {ENTITIES_FILE} and {TRIPLES_FILE}"


def read_ontology(path: Path, *, related_synonyms: bool = False) -> Ontology:
    """Read one ontology.

    Args:
        path: an ``.obo`` or ``.owl`` file; a folder of such files, which are merged in the order of their names; or a folder
            with ``entities.tsv`` and ``triples.tsv``.
        related_synonyms: take an OBO term's RELATED synonyms too, not only the EXACT ones. The TSV form does not tell them apart.

    Raises:
        KnowledgeError: there is nothing of a supported form at ``path``, or it is malformed.
    """
    if path.is_file() and path.suffix.lower() in OBO_SUFFIXES:
        return read_obo(path, related_synonyms=related_synonyms)
    if path.is_file():
        raise KnowledgeError(f"{path} is no ontology that this code reads; give {_FORMS}")
    if not path.is_dir():
        raise KnowledgeError(f"no ontology at {path}: there is no such file or folder; give {_FORMS}")
    if (path / ENTITIES_FILE).exists() or (path / TRIPLES_FILE).exists():
        return read_tsv(path)
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in OBO_SUFFIXES)
    if not files:
        raise KnowledgeError(f"no ontology in the folder {path}: looked for {ENTITIES_FILE} with {TRIPLES_FILE}, and for *.obo and *.owl")
    merged = Ontology.merge([read_obo(file, related_synonyms=related_synonyms) for file in files])
    return Ontology(path.name, merged.concepts, merged.triples)


def read_ontologies(paths: Iterable[Path], *, related_synonyms: bool = False) -> Ontology:
    """Read several ontologies and merge them by concept identifier; where names differ, the earlier path wins.

    Raises:
        KnowledgeError: no path is given, or one of them cannot be read.
    """
    ontologies = [read_ontology(path, related_synonyms=related_synonyms) for path in paths]
    if not ontologies:
        raise KnowledgeError(f"no ontology given: name at least one path ({_FORMS})")
    return Ontology.merge(ontologies)
