"""Read ontologies in OBO format, 1.0 to 1.4, line by line: a bad line costs that line.

Parsers of the whole grammar (pronto, fastobo) refuse a file for one line that they do not know, and most releases have such a line.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.defects import Defects, text_lines
from medvlp.knowledge.readers.terms import Link, Term, build_ontology

_HEADER = re.compile(r"\[(\w+)\]\s*(?:!.*)?")
_CLAUSE = re.compile(r"([^\s:]+)\s*:\s*(.*)")
_COMMENT = re.compile(r"\s!(?=\s|$).*")
_QUALIFIERS = re.compile(r'\s*\{\s*[^\s{}=]+\s*=\s*".*"\s*\}\s*$')
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"\s*([A-Za-z]*)')
_ESCAPED = re.compile(r"\\(.)")
_WHITE = {"n": " ", "t": " ", "W": " "}
_OTHER_STANZAS = {"typedef", "instance", "annotation"}
_SCOPES = ("EXACT", "RELATED", "NARROW", "BROAD")
_SCOPES_OF_1_0 = {f"{scope.lower()}_synonym": scope for scope in _SCOPES}


class _Clause(NamedTuple):
    line: int
    tag: str
    value: str


class _Stanza(NamedTuple):
    kind: str
    line: int
    clauses: list[_Clause]


def read_obo(path: Path, *, related_synonyms: bool = False) -> Ontology:
    """Read an OBO file.

    Obsolete terms are left out, and imports are not followed. Every ``is_a`` and every ``relationship`` is a triple. The semantic type is
    the term's namespace, else the default namespace of the file, else the prefix of the identifier. What is left out is logged with its
    line.

    Args:
        path: the file; its stem is the ontology's name.
        related_synonyms: read RELATED synonyms too, not only EXACT ones.

    Raises:
        KnowledgeError: the file contains no usable term.
    """
    defects = Defects(path)
    scopes = {"EXACT", "RELATED"} if related_synonyms else {"EXACT"}
    header, *stanzas = _stanzas(path, defects)
    default = next((_text(clause.value) for clause in header.clauses if clause.tag == "default-namespace"), "")
    terms = [term for stanza in stanzas if stanza.kind == "term" for term in _terms(stanza, default, scopes, defects)]
    return build_ontology(terms, defects)


def _stanzas(path: Path, defects: Defects) -> list[_Stanza]:
    """Return the header of the file, then its stanzas."""
    stanzas = [_Stanza("", 1, [])]
    number, content = 0, ""
    for number, line in text_lines(path, defects):
        content = line.strip()
        if not content or content.startswith("!"):
            continue
        if content.startswith("["):
            kind = match[1].lower() if (match := _HEADER.fullmatch(content)) else ""
            if kind != "term" and kind not in _OTHER_STANZAS:
                defects.add("stanzas of an unknown kind, left out", number)
            stanzas.append(_Stanza(kind, number, []))
        elif match := _CLAUSE.fullmatch(content):
            stanzas[-1].clauses.append(_Clause(number, match[1].lower(), match[2]))
        else:
            defects.add("lines without a tag, left out", number)
    if content:
        defects.add("no line break at the end (is the file complete?)", number)
    return stanzas


def _terms(stanza: _Stanza, default: str, scopes: set[str], defects: Defects) -> Iterator[Term]:
    """Yield the term of a stanza, unless it has no identifier; a second identifier begins a term whose header is missing."""
    if not any(clause.tag == "id" and clause.value for clause in stanza.clauses):
        defects.add("terms without an identifier, left out", stanza.line)
        return
    terms: list[Term] = []
    before = []
    for clause in stanza.clauses:
        if clause.tag == "id":
            if terms:
                defects.add("identifiers without [Term] before them, read as terms", clause.line)
            terms.append(Term(_identifier(clause.value), clause.line, semantic_type=default))
        elif terms:
            _add(terms[-1], clause, scopes, defects)
        else:
            before.append(clause)
    for clause in before:
        _add(terms[0], clause, scopes, defects)
    yield from terms


def _add(term: Term, clause: _Clause, scopes: set[str], defects: Defects) -> None:
    line, tag, value = clause
    match tag:
        case "name":
            term.names += [name] if (name := _text(value)) else []
        case "namespace":
            term.semantic_type = _text(value) or term.semantic_type
        case "alt_id":
            term.former_ids.append(_identifier(value))
        case "replaced_by":
            term.replaced_by.append(_identifier(value))
        case "is_obsolete":
            term.is_obsolete = _identifier(value).lower() in ("true", "1")
        case "is_a":
            term.links.append(Link("is_a", _identifier(value), line))
        case "relationship":
            relation, _, target = _identifier(value).partition(" ")
            if target:
                term.links.append(Link(relation, target.strip(), line))
            else:
                defects.add("relationships without a target, left out", line)
        case "synonym" | "exact_synonym" | "related_synonym" | "narrow_synonym" | "broad_synonym":
            if match := _QUOTED.match(value):
                scope = _SCOPES_OF_1_0.get(tag) or match[2].upper()
                if scope not in _SCOPES:
                    scope = "RELATED"  # the default; the word is a type of synonym
                term.synonyms += [_unescaped(match[1])] if scope in scopes else []
            else:
                defects.add("synonyms without their quotation marks, left out", line)
        case _ if tag.startswith("xref"):
            term.cross_references.append(value)


def _text(value: str) -> str:
    """Return a value without the comment and the qualifiers after it: {source="a book"} ! a comment."""
    return _unescaped(_QUALIFIERS.sub("", _COMMENT.sub("", value))).strip()


def _identifier(value: str) -> str:
    return _text(value.partition("!")[0])


def _unescaped(value: str) -> str:
    return _ESCAPED.sub(lambda match: _WHITE.get(match[1], match[1]), value)
