"""From the terms of an OBO or OWL file to an ``Ontology``: references are resolved, and what cannot be used is reported."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.readers.defects import Defects

_UMLS = re.compile(r"(?:UMLS|UMLS_CUI):(C\d{7})\b")


class Link(NamedTuple):
    """A reference from a term to another one."""

    relation: str
    target: str
    line: int


@dataclass
class Term:
    """A term as its file gives it."""

    id: str
    line: int
    names: list[str] = field(default_factory=list)
    """The preferred name and any further ones."""
    synonyms: list[str] = field(default_factory=list)
    semantic_type: str = ""
    cross_references: list[str] = field(default_factory=list)
    former_ids: list[str] = field(default_factory=list)
    """Identifiers of terms that were merged into this one."""
    replaced_by: list[str] = field(default_factory=list)
    is_obsolete: bool = False
    links: list[Link] = field(default_factory=list)

    def concept(self, source: str) -> Concept:
        """Return the term as a concept of the ontology ``source``; further names are synonyms."""
        name, *further = self.names or [""]
        references = (match[1] for reference in self.cross_references if (match := _UMLS.match(reference)))
        prefix = "" if "://" in self.id or ":" not in self.id else self.id.partition(":")[0]
        synonyms = [*further, *sorted(self.synonyms)]
        return Concept.cleaned(self.id, name, synonyms, self.semantic_type or prefix or source, references)


def build_ontology(terms: Sequence[Term], defects: Defects) -> Ontology:
    """Make an ontology of all terms that are not obsolete.

    A reference to the former identifier of a term, or to an obsolete term with one replacement, leads to the current term.

    Raises:
        KnowledgeError: there is no term with a name.
    """
    current = [term for term in terms if not term.is_obsolete]
    seen: set[str] = set()
    for term in current:
        if term.id in seen:
            defects.add("terms with the identifier of an earlier one, joined with it", term.line)
        elif not (term.names or term.synonyms):
            defects.add("terms without a name, named by their identifier", term.line)
        seen.add(term.id)
    if not any(term.names or term.synonyms for term in current):
        details = f": {defects}" if defects.counts() else "; is it the right file?"
        raise KnowledgeError(f"{defects.path} contains no usable term ({len(terms)} terms, {len(current)} not obsolete){details}")
    triples = list(_triples(current, _replacements(terms, {term.id for term in current}), defects))
    _report_cycle(current, triples, defects)
    defects.report()
    return Ontology.build(defects.path.stem, (term.concept(defects.path.stem) for term in current), triples)


def _replacements(terms: Sequence[Term], current: set[str]) -> Mapping[str, str]:
    """Return the current identifier for each identifier that has exactly one; current ones stand for themselves."""
    candidates: dict[str, set[str]] = {}
    for term in terms:
        if term.is_obsolete:
            candidates.setdefault(term.id, set()).update(term.replaced_by)
        else:
            for former in term.former_ids:
                candidates.setdefault(former, set()).add(term.id)
    found = {identifier: identifier for identifier in current}
    for identifier in candidates:
        seen, last = {identifier}, identifier
        while last not in current and len(candidates.get(last, ())) == 1:
            (last,) = candidates[last]
            if last in seen:
                break
            seen.add(last)
        if last in current:
            found.setdefault(identifier, last)
    return found


def _triples(terms: Sequence[Term], current: Mapping[str, str], defects: Defects) -> Iterator[Triple]:
    for term in terms:
        for relation, target, line in term.links:
            tail = current.get(target) or current.get(target.partition(" ")[0])  # a name may follow without its exclamation mark
            if tail is None:
                defects.add("references to terms that the file does not define, or that are obsolete, left out", line)
            elif relation == "is_a" and tail == term.id:
                defects.add("is_a from a term to itself, left out", line)
            else:
                yield Triple(term.id, relation, tail)


def _report_cycle(terms: Sequence[Term], triples: Sequence[Triple], defects: Defects) -> None:
    parents: dict[str, list[str]] = {}
    for triple in triples:
        if triple.relation == "is_a":
            parents.setdefault(triple.head, []).append(triple.tail)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        circle = list(reversed(error.args[1]))
        line = next(term.line for term in terms if term.id == circle[0])
        defects.add(f"cycles of is_a, kept ({' is_a '.join(circle)})", line)
