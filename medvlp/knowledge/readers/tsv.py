"""Read an ontology from two tab-separated files, with or without a header row.

``entities.tsv``: identifier, name, synonyms joined by ``|``, identifier in the source ("DOID:1386").
``triples.tsv``: head, tail, source, relation.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.readers.defects import Defects, text_lines

ENTITIES_FILE = "entities.tsv"
TRIPLES_FILE = "triples.tsv"
_COLUMNS = 4
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")
_TITLE_WORD = re.compile(
    "alt|canonical|child|class|code|concept|cui|curie|description|display|end|entity|form|from|full|head|ids?|identifiers?|iri|item|key|"
    "labels?|main|names?|node|object|official|parent|pred|predicate|pref|preferred|primary|ref|rel|relation|source|src|standard|start|str|"
    "string|subj|subject|tail|target|terms?|text|title|to|unique|uri|url",
    re.IGNORECASE,
)
"""A word of a title of the first two columns."""


class _Row(NamedTuple):
    line: int
    fields: list[str]


def read_tsv(folder: Path) -> Ontology:
    """Read ``entities.tsv`` and ``triples.tsv`` of ``folder``; the semantic type is the prefix of the source identifier.

    Rows that cannot be used are left out and logged with their line.

    Raises:
        KnowledgeError: a file is missing, or there is no usable entity.
    """
    for name in (ENTITIES_FILE, TRIPLES_FILE):
        if not (folder / name).is_file():
            raise KnowledgeError(f"there is no file {folder / name}; the format needs {ENTITIES_FILE} and {TRIPLES_FILE}")
    of_entities, of_triples = Defects(folder / ENTITIES_FILE), Defects(folder / TRIPLES_FILE)
    concepts = list(_concepts(_without_header(_rows(of_entities), of_entities), of_entities))
    if not concepts:
        details = f": {of_entities}" if of_entities.counts() else " (it is empty)"
        raise KnowledgeError(
            f"{folder / ENTITIES_FILE} contains no concept{details}; a row needs {_COLUMNS} columns with tabs between them"
        )
    known = {concept.id for concept in concepts}
    triples = list(_triples(_without_header(_rows(of_triples), of_triples), known, of_triples))
    of_entities.report()
    of_triples.report()
    return Ontology.build(folder.name, concepts, triples)


def _rows(defects: Defects) -> list[_Row]:
    rows = []
    for number, line in text_lines(defects.path, defects):
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) >= _COLUMNS:
            rows.append(_Row(number, fields))
        elif any(fields):
            defects.add(f"rows with fewer than {_COLUMNS} tab-separated columns, left out", number)
    return rows


def _without_header(rows: list[_Row], defects: Defects) -> list[_Row]:
    if not rows or not _is_header(rows[0], rows[1:]):
        return rows
    defects.add("header rows, which are no data", rows[0].line)
    return rows[1:]


def _is_header(first: _Row, others: list[_Row]) -> bool:
    """Whether a row has titles: by its words ("concept_id", "preferredName"), or as the only one without identifiers."""
    titles = [_WORD.findall(field.lstrip("#")) for field in first.fields[:2]]
    if all(words and all(_TITLE_WORD.fullmatch(word) for word in words) for words in titles):
        return True
    return bool(others) and _codes(first) == (False, False) and all(_codes(row) == (True, True) for row in others)


def _codes(row: _Row) -> tuple[bool, bool]:
    """Whether the first column looks like an identifier, and whether the last one does."""
    return any(character.isdigit() for character in row.fields[0]), ":" in row.fields[-1]


def _concepts(rows: list[_Row], defects: Defects) -> Iterator[Concept]:
    for line, fields in rows:
        # The source identifier is the last column: real files contain a tab inside a synonym, which adds a column.
        identifier, name, *synonyms, source = fields
        if identifier and name:
            yield Concept.cleaned(identifier, name, " ".join(synonyms).split("|"), source.partition(":")[0])
        else:
            defects.add("entities without an identifier or a name, left out", line)


def _triples(rows: list[_Row], known: set[str], defects: Defects) -> Iterator[Triple]:
    for line, (head, tail, _, relation, *_) in rows:
        if not (head and tail and relation):
            defects.add("triples without head, tail or relation, left out", line)
        elif not {head, tail} <= known:
            defects.add("triples with an end that is no entity, left out", line)
        else:
            yield Triple(head, relation, tail)
