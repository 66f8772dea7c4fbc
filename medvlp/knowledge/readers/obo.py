"""Read ontologies in OBO and OWL format with pronto."""

import re
import tempfile
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from pronto.ontology import Ontology as Document
from pronto.term import Term

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple

OBO_SUFFIXES = (".obo", ".owl")

_PLAIN_TAGS = {"format-version", "ontology", "default-namespace", "id", "name", "namespace", "is_obsolete"}
_UMLS = re.compile(r"(?:UMLS|UMLS_CUI):(C\d{7})\b")
_SYNONYM = re.compile(r'(synonym: "(?:[^"\\]|\\.)*")\s*([A-Z]*)')


def read_obo(path: Path, *, related_synonyms: bool = False) -> Ontology:
    """Read an ``.obo`` or ``.owl`` file.

    Obsolete terms and imported ontologies are left out. Every ``is_a`` and every relationship is a triple. The semantic type is the
    term's namespace, else the ontology's default namespace, else the prefix of the identifier.

    Args:
        path: the file; its stem is the ontology's name.
        related_synonyms: read RELATED synonyms too, not only EXACT ones.

    Raises:
        KnowledgeError: the file is not UTF-8, is malformed, contains no term, or has a cycle of ``is_a``.
    """
    scopes = {"EXACT", "RELATED"} if related_synonyms else {"EXACT"}
    try:
        document = _parse(path)
        terms = [term for term in document.terms() if not term.obsolete]
        concepts = [_concept(term, scopes, document.metadata.default_namespace) for term in terms]
        triples = [triple for term in terms for triple in _triples(term)]
    except KeyError as error:
        raise KnowledgeError(f"{path} refers to {error} without defining it; imports are not followed: use the merged release") from error
    except (SyntaxError, ValueError, TypeError) as error:
        raise KnowledgeError(f"{path} is not a readable OBO or OWL ontology: {_reason(error)}; is it complete, and UTF-8?") from error
    _check_hierarchy(path, triples)
    return Ontology.build(path.stem, concepts, triples)


def _check_hierarchy(path: Path, triples: list[Triple]) -> None:
    parents: dict[str, list[str]] = {}
    for triple in triples:
        if triple.relation == "is_a":
            parents.setdefault(triple.head, []).append(triple.tail)
    try:
        TopologicalSorter(parents).prepare()
    except CycleError as error:
        circle = " is_a ".join(reversed(error.args[1]))
        raise KnowledgeError(f"the hierarchy of {path} has a cycle: {circle}; use a released file, or fix it") from error


def _parse(path: Path) -> Document:
    """Parse without following imports: reading an ontology never accesses the network."""
    if path.suffix.lower() != ".obo":
        return Document(path, import_depth=0, threads=1, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        reduced = Path(folder) / path.name
        reduced.write_text(_reduced(path.read_text(encoding="utf-8-sig")), encoding="utf-8")
        return Document(reduced, import_depth=0, threads=1, encoding="utf-8")


def _reduced(text: str) -> str:
    """Blank all lines of an OBO document that define no concept or triple.

    The parser is strict about every line, but releases of DOID and Uberon have cross-references and definitions that it rejects. It also
    rejects references to undefined terms, which are common in subsets. So references to unknown terms are removed (``Ontology.build`` would
    drop such triples anyway) and unknown relations are defined at the end. Line numbers do not change.
    """
    lines = text.split("\n")
    defined = {line[4:].partition(" ")[0] for line in lines if line.startswith("id: ")}
    kept = [_needed_part(line, defined) for line in lines]
    relations = dict.fromkeys(line.split()[1] for line in kept if line.startswith("relationship: "))
    return "\n".join(kept + [f"\n[Typedef]\nid: {relation}\n" for relation in relations if relation not in defined])


def _needed_part(line: str, defined: set[str]) -> str:
    tag, _, value = line.partition(": ")
    if line.startswith("[") or tag in _PLAIN_TAGS:
        return line
    if tag == "xref":
        return f"xref: UMLS:{match[1]}" if (match := _UMLS.match(value)) else ""
    if match := _SYNONYM.match(line):
        return f"{match[1]} {match[2] or 'RELATED'} []"  # without its own references; OBO 1.2 accepts no scope for RELATED
    words = value.split()
    position = {"is_a": 0, "relationship": 1}.get(tag, len(words))
    return line if position < len(words) and words[position] in defined else ""


def _concept(term: Term, scopes: set[str], default_namespace: str | None) -> Concept:
    synonyms = sorted(synonym.description for synonym in term.synonyms if synonym.scope in scopes)
    semantic_type = term.namespace or default_namespace or term.id.partition(":")[0]
    references = (match[1] for reference in term.xrefs if (match := _UMLS.match(reference.id)))
    return Concept.cleaned(term.id, term.name or "", synonyms, semantic_type, references)


def _triples(term: Term) -> Iterator[Triple]:
    for parent in term.superclasses(distance=1, with_self=False):
        yield Triple(term.id, "is_a", parent.id)
    for relation, targets in term.relationships.items():
        for target in targets:
            yield Triple(term.id, relation.id, target.id)


def _reason(error: Exception) -> str:
    if not isinstance(error, SyntaxError):
        return str(error)
    return f"{error.msg}, line {error.lineno}" if error.lineno else error.msg
