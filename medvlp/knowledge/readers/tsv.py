"""Read an ontology from two tab-separated files without header.

``entities.tsv``: identifier, name, synonyms joined by ``|``, identifier in the source ("DOID:1386").
``triples.tsv``: head, tail, source, relation.
"""

from collections.abc import Iterator
from pathlib import Path

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple

ENTITIES_FILE = "entities.tsv"
TRIPLES_FILE = "triples.tsv"
_COLUMNS = 4


def read_tsv(folder: Path) -> Ontology:
    """Read ``entities.tsv`` and ``triples.tsv`` of ``folder``; the semantic type is the prefix of the source identifier.

    Raises:
        KnowledgeError: a file is missing or not UTF-8, or a row has too few columns or an empty required one.
    """
    concepts = (_concept(fields, where) for fields, where in _rows(folder / ENTITIES_FILE))
    triples = (_triple(fields, where) for fields, where in _rows(folder / TRIPLES_FILE))
    return Ontology.build(folder.name, concepts, triples)


def _rows(path: Path) -> Iterator[tuple[list[str], str]]:
    """Yield the fields of every non-blank row, with "file, line n" for messages."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                where = f"{path}, line {number}"
                fields = line.rstrip("\r\n").split("\t")
                if fields == [""]:
                    continue
                if len(fields) < _COLUMNS:
                    raise KnowledgeError(f"{where}: {len(fields)} tab-separated columns instead of {_COLUMNS}: is the file truncated?")
                yield fields, where
    except FileNotFoundError as error:
        raise KnowledgeError(f"there is no file {path}; the format needs {ENTITIES_FILE} and {TRIPLES_FILE}") from error
    except UnicodeDecodeError as error:
        raise KnowledgeError(f"{path} is not UTF-8 text ({error}); convert it first") from error


def _concept(fields: list[str], where: str) -> Concept:
    # The source identifier is the last column: real files contain a tab inside a synonym, which adds a column.
    identifier, name, *synonyms, source = fields
    if not identifier or not name:
        raise KnowledgeError(f"{where}: an entity needs an identifier and a name, here {identifier!r} and {name!r}")
    return Concept.cleaned(identifier, name, " ".join(synonyms).split("|"), source.partition(":")[0])


def _triple(fields: list[str], where: str) -> Triple:
    head, tail, _, relation = fields[:_COLUMNS]
    if not (head and tail and relation):
        raise KnowledgeError(f"{where}: a triple needs head, tail and relation, here {head!r}, {tail!r} and {relation!r}")
    return Triple(head, relation, tail)
