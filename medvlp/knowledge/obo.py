"""Ontologies in OBO and OWL form, read with pronto."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pronto.ontology import Ontology as Document
from pronto.term import Term

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple

OBO_SUFFIXES = (".obo", ".owl")

_HEADER_TAGS = {"format-version", "ontology", "default-namespace"}
_TERM_TAGS = {"id", "name", "namespace", "synonym", "is_a", "relationship", "is_obsolete"}
_NEEDED_TAGS = _HEADER_TAGS | _TERM_TAGS
_SYNONYM = re.compile(r'(synonym: "(?:[^"\\]|\\.)*" [A-Z]+)\b')


def read_obo(path: Path, *, related_synonyms: bool = False) -> Ontology:
    """Read an ``.obo`` or ``.owl`` file.

    Obsolete terms and imported ontologies are left out. Every ``is_a`` and every relationship is a triple. The semantic type is the
    term's namespace, else the ontology's default namespace, else the prefix of the identifier.

    Args:
        path: the file; its stem is the ontology's name.
        related_synonyms: RELATED synonyms too, not only EXACT ones.

    Raises:
        KnowledgeError: the file is not UTF-8, malformed, or holds no term.
    """
    scopes = {"EXACT", "RELATED"} if related_synonyms else {"EXACT"}
    try:
        document = _parse(path)
        terms = [term for term in document.terms() if not term.obsolete]
        concepts = [_concept(term, scopes, document.metadata.default_namespace) for term in terms]
        triples = [triple for term in terms for triple in _triples(term)]
    except KeyError as error:
        raise KnowledgeError(f"{path} refers to {error}, which it does not define; merge the files that belong together first") from error
    except (SyntaxError, ValueError, TypeError) as error:
        raise KnowledgeError(f"{path} is not a readable OBO or OWL ontology: {_reason(error)}") from error
    return Ontology.build(path.stem, concepts, triples)


def _parse(path: Path) -> Document:
    """Parse without following imports: reading an ontology never reaches for the network."""
    if path.suffix.lower() != ".obo":
        return Document(path, import_depth=0, threads=1, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        reduced = Path(folder) / path.name
        reduced.write_text(reduce_obo(path.read_text(encoding="utf-8-sig")), encoding="utf-8")
        return Document(reduced, import_depth=0, threads=1, encoding="utf-8")


def reduce_obo(text: str) -> str:
    """Blank the lines of an OBO document that no concept or triple comes from.

    The parser is strict about every line, and releases of DOID and Uberon have cross-references and definitions that it refuses; nor
    does it bear references to terms that the file does not define, which subsets are full of (``Ontology.build`` leaves such
    triples out anyway). Line numbers stay as they were, and relations that are used without being defined are defined at the end.
    """
    lines = text.split("\n")
    defined = {line[4:].strip() for line in lines if line.startswith("id: ")}
    relations: dict[str, None] = {}
    reduced = []
    for line in lines:
        tag, _, value = line.partition(": ")
        kept = line if line.startswith("[") or tag in _NEEDED_TAGS else ""
        if tag == "synonym" and (match := _SYNONYM.match(line)):
            kept = f"{match[1]} []"
        elif tag in ("is_a", "relationship"):
            *relation, target = value.split()[: 1 if tag == "is_a" else 2]
            kept = line if target in defined else ""
            relations.update(dict.fromkeys(relation if kept else []))
        reduced.append(kept)
    undefined = [f"\n[Typedef]\nid: {relation}\n" for relation in relations if relation not in defined]
    return "\n".join(reduced + undefined)


def _concept(term: Term, scopes: set[str], default_namespace: str | None) -> Concept:
    synonyms = sorted(synonym.description for synonym in term.synonyms if synonym.scope in scopes)
    semantic_type = term.namespace or default_namespace or term.id.partition(":")[0]
    return Concept.cleaned(term.id, term.name or "", synonyms, semantic_type)


def _triples(term: Term) -> Iterator[Triple]:
    for parent in term.superclasses(distance=1, with_self=False):
        yield Triple(term.id, "is_a", parent.id)
    for relation, targets in term.relationships.items():
        for target in targets:
            yield Triple(term.id, relation.id, target.id)


def _reason(error: Exception) -> str:
    line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
    return f"{error.args[0] if error.args else type(error).__name__}{line}"
