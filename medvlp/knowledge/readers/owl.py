"""Read OWL, RDFS and SKOS in RDF/XML."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.defects import Defects
from medvlp.knowledge.readers.rdfxml import TYPE, Statement, statements
from medvlp.knowledge.readers.terms import Link, Term, build_ontology

_OBO = "http://purl.obolibrary.org/obo/"
_OBO_IN_OWL = "http://www.geneontology.org/formats/oboInOwl#"
_OWL = "http://www.w3.org/2002/07/owl#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"

_FORM = "http://www.w3.org/2008/05/skos-xl#literalForm"

_CLASSES = {f"{_OWL}Class", f"{_RDFS}Class", f"{_SKOS}Concept"}
_BUILT_IN = {f"{_OWL}Thing", f"{_OWL}Nothing"}
_NAMES = {"preflabel": 0, "label": 1, "preferredname": 2, "preferredlabel": 2, "preferredterm": 2, "p108": 2, "literalform": 2}
"""Rank of a property with the preferred name, by the end of its IRI: SKOS, RDFS; as in RadLex, BioPortal and MeSH; of the NCI Thesaurus."""
_EXACT = {"altlabel", "alternativelabel", "alternativeterm", "hasexactsynonym", "exactsynonym", "synonym", "synonyms", "iao0000118", "p90"}
_RELATED = {"hiddenlabel", "hasrelatedsynonym", "relatedsynonym"}
_PARENTS = {f"{_RDFS}subClassOf": "is_a", f"{_SKOS}broader": "narrower_than", f"{_SKOS}broadMatch": "narrower_than"}
_NARROWER, _RELATED_TO = f"{_SKOS}narrower", f"{_SKOS}related"
_PROPERTY, _FILLER = f"{_OWL}onProperty", f"{_OWL}someValuesFrom"
_DEPRECATED, _REPLACED_BY, _FORMER_ID = f"{_OWL}deprecated", f"{_OBO}IAO_0100001", f"{_OBO_IN_OWL}hasAlternativeId"
_ID, _SHORTHAND, _CROSS_REFERENCE = (f"{_OBO_IN_OWL}{name}" for name in ("id", "shorthand", "hasDbXref"))
_NAMESPACE = f"{_OBO_IN_OWL}hasOBONamespace"
_DEFAULT_NAMESPACES = (f"{_OBO_IN_OWL}default-namespace", f"{_OBO_IN_OWL}hasDefaultNamespace")
_FACTS = {TYPE, *_PARENTS, _NARROWER, _RELATED_TO, _PROPERTY, _FILLER, _DEPRECATED, _REPLACED_BY, _FORMER_ID, _ID, _SHORTHAND}
_FACTS |= {_CROSS_REFERENCE, _NAMESPACE, *_DEFAULT_NAMESPACES}


@dataclass
class _Subject:
    """What the document says about a subject, as far as a term needs it."""

    iri: str
    line: int
    facts: dict[str, list[Statement]] = field(default_factory=dict)
    names: list[Statement] = field(default_factory=list)
    synonyms: list[Statement] = field(default_factory=list)
    labels: list[Statement] = field(default_factory=list)
    """References to names that are subjects of their own, as in SKOS-XL."""

    def values(self, predicate: str) -> list[str]:
        return [statement.value.strip() for statement in self.facts.get(predicate, ())]

    def value(self, *predicates: str) -> str:
        return next((value for predicate in predicates for value in self.values(predicate) if value), "")

    @property
    def identifier(self) -> str:
        """As in OBO, or the IRI."""
        return self.value(_ID) or _compact(self.iri)


def read_owl(path: Path, *, related_synonyms: bool = False, language: str = "en") -> Ontology:
    """Read the classes of an OWL or RDFS ontology, or the concepts of a SKOS thesaurus, from RDF/XML.

    Deprecated classes are left out, and imports are not followed. ``subClassOf`` a class is the relation is_a, ``subClassOf`` a restriction
    ``someValuesFrom`` the relation of the restriction, ``skos:broader`` the relation narrower_than. A class of an OBO ontology has its
    identifier in OBO (X:1), another one its IRI. The semantic type is the OBO namespace, else the prefix of the identifier, else the name
    of the file. What is left out is logged with its line.

    Args:
        path: the file; its stem is the ontology's name.
        related_synonyms: read related synonyms too, not only exact ones.
        language: language of the names to read, as in ``xml:lang``; "en" includes "en-GB". Names without a language are read too. A class
            with names in other languages only keeps those of the first of them.

    Raises:
        KnowledgeError: the file is not well-formed, or contains no class with a name.
    """
    defects = Defects(path)
    subjects = _subjects(path, _EXACT | _RELATED if related_synonyms else _EXACT)
    default = next((name for each in subjects.values() if (name := each.value(*_DEFAULT_NAMESPACES))), "")
    classes = [each for each in subjects.values() if _is_class(each)]
    terms = {each.iri: _term(each, subjects, default, language.lower(), defects) for each in classes}
    for each in classes:  # the other direction of skos:broader
        for statement in each.facts.get(_NARROWER, ()):
            if statement.value in terms:
                terms[statement.value].links.append(Link("narrower_than", each.identifier, statement.line))
    return build_ontology(list(terms.values()), defects)


def _subjects(path: Path, synonyms: set[str]) -> dict[str, _Subject]:
    subjects: dict[str, _Subject] = {}
    for statement in statements(path):
        ending = _ending(statement.predicate)
        is_name, is_synonym = ending in _NAMES, ending in synonyms
        if not (is_name or is_synonym or statement.predicate in _FACTS):
            continue
        subject = subjects.setdefault(statement.subject, _Subject(statement.subject, statement.line))
        if statement.predicate in _FACTS:
            subject.facts.setdefault(statement.predicate, []).append(statement)
        elif not statement.is_literal:
            subject.labels.append(statement)
        elif statement.value.strip():
            (subject.names if is_name else subject.synonyms).append(statement)
    for subject in subjects.values():
        for reference in subject.labels:
            named = subject.names if _ending(reference.predicate) in _NAMES else subject.synonyms
            forms = subjects[reference.value].names if reference.value in subjects else ()
            named += [form._replace(predicate=reference.predicate) for form in forms if form.predicate == _FORM]
    return subjects


def _is_class(subject: _Subject) -> bool:
    return not (_CLASSES.isdisjoint(subject.values(TYPE)) or subject.iri in _BUILT_IN or subject.iri.startswith("_:"))


def _term(subject: _Subject, subjects: Mapping[str, _Subject], default: str, language: str, defects: Defects) -> Term:
    names, synonyms = _in_language(subject, language, defects)
    return Term(
        subject.identifier,
        subject.line,
        names=names,
        synonyms=synonyms,
        semantic_type=subject.value(_NAMESPACE) or default,
        cross_references=subject.values(_CROSS_REFERENCE),
        former_ids=subject.values(_FORMER_ID),
        replaced_by=[_identifier(value, subjects) for value in subject.values(_REPLACED_BY)],
        is_obsolete=subject.value(_DEPRECATED).lower() in ("true", "1"),
        links=list(_links(subject, subjects, defects)),
    )


def _in_language(subject: _Subject, language: str, defects: Defects) -> tuple[list[str], list[str]]:
    """Return the names, the preferred one first, and the synonyms."""
    names = [each for each in subject.names if _fit(each, language) is not None]
    if subject.names and not names:
        language = subject.names[0].language
        names = [each for each in subject.names if _fit(each, language) is not None]
        defects.add("terms with names in other languages only, named in the first of these", subject.line)
    names.sort(key=lambda each: (_fit(each, language), _NAMES[_ending(each.predicate)]))
    synonyms = [each for each in subject.synonyms if _fit(each, language) is not None]
    for each in (*subject.names, *subject.synonyms):
        if _fit(each, language) is None:
            defects.add("names in other languages, left out", each.line)
    return [each.value for each in names], [each.value for each in synonyms]


def _fit(name: Statement, language: str) -> int | None:
    """Return 0 for the language itself, 1 for a regional form of it, 2 for none; None for another language."""
    if name.language in (language, ""):
        return 0 if name.language else 2
    return 1 if name.language.startswith(f"{language}-") else None


def _links(subject: _Subject, subjects: Mapping[str, _Subject], defects: Defects) -> Iterator[Link]:
    for statement in _all(subject, (*_PARENTS, _RELATED_TO)):
        relation, target = _PARENTS.get(statement.predicate, "related"), statement.value
        if target.startswith("_:"):  # a class expression
            expression = subjects.get(target, _Subject(target, statement.line))
            relation, target = _relation(expression.value(_PROPERTY), subjects), expression.value(_FILLER)
        if not relation or not target or target.startswith("_:"):
            defects.add("class expressions other than someValuesFrom a class, left out", statement.line)
        elif target not in _BUILT_IN:
            yield Link(relation, _identifier(target, subjects), statement.line)


def _all(subject: _Subject, predicates: Iterable[str]) -> Iterator[Statement]:
    for predicate in predicates:
        yield from subject.facts.get(predicate, ())


def _relation(iri: str, subjects: Mapping[str, _Subject]) -> str:
    found = subjects.get(iri)
    name = found.value(_SHORTHAND, _ID) if found else ""
    return name or re.split(r"[#/]", _compact(iri))[-1]


def _identifier(reference: str, subjects: Mapping[str, _Subject]) -> str:
    """Return the identifier of the subject that an IRI refers to; an identifier stands for itself."""
    found = subjects.get(reference)
    return found.identifier if found else _compact(reference)


def _compact(iri: str) -> str:
    """Return X:1 for http://purl.obolibrary.org/obo/X_1."""
    match = re.fullmatch(rf"{_OBO}([^#_/]+)_(.+)", iri)
    return f"{match[1]}:{match[2]}" if match else iri


@cache
def _ending(iri: str) -> str:
    return re.split(r"[#/]", iri)[-1].lower().replace("_", "").replace("-", "")
