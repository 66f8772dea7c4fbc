"""Statements of an RDF/XML document, one by one and with their lines, in constant memory.

It reads what ontologies use: node and property elements, nested or not, property attributes, rdf:about, rdf:ID, rdf:nodeID, rdf:resource,
xml:lang and xml:base. Collections are skipped. Nothing is fetched: neither imports nor external entities.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urljoin
from xml.parsers import expat

from medvlp.errors import KnowledgeError

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
TYPE = f"{RDF}type"
_XML = "http://www.w3.org/XML/1998/namespace"
_SUBJECTS = (f"{RDF}about", f"{RDF}ID", f"{RDF}nodeID")
_BLOCK_BYTES = 1 << 16


class Statement(NamedTuple):
    """subject --predicate--> value."""

    subject: str
    """IRI, or a name of the document's own that starts with "_:"."""
    predicate: str
    value: str
    """IRI as for the subject, or the text of a literal."""
    is_literal: bool
    language: str
    """Language of a literal, in lower case; empty if it has none."""
    line: int


@dataclass
class _Element:
    """An open element: a node, a property, or one that is skipped with all it contains."""

    kind: str
    name: str
    language: str
    base: str
    line: int
    text: str = ""
    has_value: bool = False


def statements(path: Path) -> Iterator[Statement]:
    """Yield all statements of the document.

    Raises:
        KnowledgeError: the file is not well-formed XML.
    """
    reader = _Reader()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                reader.parser.Parse(block)
                yield from reader.take()
        reader.parser.Parse(b"", True)
    except (expat.ExpatError, ValueError, LookupError) as error:  # the latter two: an encoding that Python does not know
        raise KnowledgeError(f"{path} is not well-formed XML: {error}; is it complete?") from error


class _Reader:
    """Handlers of the parser; with an empty separator the parser itself makes IRIs of names."""

    def __init__(self) -> None:
        self.parser = expat.ParserCreate(namespace_separator="")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        self._open: list[_Element] = []
        self._found: list[Statement] = []
        self._blank = 0

    def take(self) -> list[Statement]:
        """Return the statements since the last call."""
        found, self._found = self._found, []
        return found

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        parent = self._open[-1] if self._open else _Element("root", "", "", "", 0)
        language = attributes.pop(f"{_XML}lang", parent.language).lower().replace("_", "-")
        base = attributes.pop(f"{_XML}base", parent.base)
        element = _Element("skipped", tag, language, base, self.parser.CurrentLineNumber)
        if parent.kind == "root" and tag == f"{RDF}RDF":
            element.kind = "root"
        elif parent.kind in ("root", "property"):
            self._start_node(element, parent, attributes)
        elif parent.kind == "node":
            self._start_property(element, parent, attributes)
        self._open.append(element)

    def _start_node(self, element: _Element, parent: _Element, attributes: dict[str, str]) -> None:
        tag, element.kind, element.name = element.name, "node", self._subject(attributes, element.base)
        if tag != f"{RDF}Description":
            self._state(element, element.name, TYPE, tag)
        for name, value in attributes.items():
            if name == TYPE:
                self._state(element, element.name, TYPE, _resolved(element.base, value))
            elif not name.startswith((RDF, _XML)):
                self._state(element, element.name, name, value, is_literal=True)
        if parent.kind == "property":
            parent.has_value = True
            self._state(element, self._open[-2].name, parent.name, element.name)

    def _start_property(self, element: _Element, parent: _Element, attributes: dict[str, str]) -> None:
        form = attributes.get(f"{RDF}parseType")
        value = self._reference(attributes, element.base)
        if form == "Resource":
            predicate, element.kind, element.name = element.name, "node", self._new_blank()
            self._state(element, parent.name, predicate, element.name)
        elif form is None:
            element.kind = "property"
            if value is not None:
                element.has_value = True
                self._state(element, parent.name, element.name, value)

    def _end(self, tag: str) -> None:
        element = self._open.pop()
        if element.kind == "property" and not element.has_value:
            self._state(element, self._open[-1].name, element.name, element.text, is_literal=True)

    def _characters(self, text: str) -> None:
        if self._open and self._open[-1].kind == "property":
            self._open[-1].text += text

    def _state(self, at: _Element, subject: str, predicate: str, value: str, *, is_literal: bool = False) -> None:
        language = at.language if is_literal else ""
        self._found.append(Statement(subject, predicate, value, is_literal, language, at.line))

    def _subject(self, attributes: dict[str, str], base: str) -> str:
        about, identifier, node = (attributes.get(name) for name in _SUBJECTS)
        if about is not None:
            return _resolved(base, about)
        if identifier is not None:
            return _resolved(base, f"#{identifier}")
        return f"_:{node}" if node is not None else self._new_blank()

    def _reference(self, attributes: dict[str, str], base: str) -> str | None:
        resource, node = attributes.get(f"{RDF}resource"), attributes.get(f"{RDF}nodeID")
        if resource is not None:
            return _resolved(base, resource)
        return f"_:{node}" if node is not None else None

    def _new_blank(self) -> str:
        self._blank += 1
        return f"_: {self._blank}"  # no nodeID contains a space


def _resolved(base: str, iri: str) -> str:
    return iri if "://" in iri else urljoin(base, iri)
