"""The knowledge bundle: everything that a model needs from an ontology, as one object with one fingerprint.

Shapes: N entities, M triples, K width of the vectors.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from medvlp.errors import ConfigurationError, KnowledgeError
from medvlp.json_values import parse_object, typed
from medvlp.knowledge.ontology import Concept, Ontology, Triple

FORMAT_VERSION = 2
METADATA_FILE = "bundle.json"
TENSORS_FILE = "bundle.safetensors"


@dataclass(frozen=True, slots=True)
class Entity:
    """A concept in the vocabulary; its position in the bundle is its entity id."""

    concept: str
    name: str
    semantic_type: str
    count: int
    """Number of mentions in the training split."""
    synonyms: tuple[str, ...] = ()
    """Other names that a linker finds in a text."""


@dataclass(frozen=True, slots=True)
class DroppedConcept:
    """A concept that the texts mention and that is no entity."""

    concept: str
    name: str
    count: int
    """Number of mentions in the training split."""
    reason: str


@dataclass(frozen=True)
class Provenance:
    """The origin of a bundle."""

    ontology: str
    ontology_fingerprint: str
    links_fingerprint: str
    linker: str
    minimum_count: int


@dataclass(frozen=True)
class _Metadata:
    """The content of ``METADATA_FILE``."""

    entities: tuple[Entity, ...]
    relations: tuple[str, ...]
    provenance: Provenance
    dropped: tuple[DroppedConcept, ...] = ()


@dataclass(frozen=True, eq=False)
class KnowledgeBundle:
    """Entity vocabulary, graph and vectors (ARL's entity2id, train2id and TransE embeddings)."""

    entities: tuple[Entity, ...]
    relations: tuple[str, ...]
    triples: Tensor
    """int64 [M, 3]: head, relation, tail, as entity and relation ids."""
    vectors: Tensor
    """float32 [N, K]: TransE vectors."""
    provenance: Provenance
    dropped: tuple[DroppedConcept, ...] = ()
    """The commonest concepts that are no entities, for people: no model sees them, so the fingerprint does not depend on them."""

    def __post_init__(self) -> None:
        triples, vectors = self.triples, self.vectors
        fits = triples.ndim == vectors.ndim == 2 and triples.shape[1] == 3 and len(vectors) == len(self.entities)
        if fits:
            limits = torch.tensor([len(self.entities), len(self.relations), len(self.entities)])
            fits = bool(((triples >= 0) & (triples < limits)).all())
        if not fits:
            raise KnowledgeError(
                f"knowledge bundle is inconsistent: {len(self.entities)} entities, {len(self.relations)} relations, vectors "
                f"{tuple(vectors.shape)}, triples {tuple(triples.shape)}, or a triple with an id out of range; build it again"
            )

    @property
    def edge_index(self) -> Tensor:
        """int64 [2, M]: head to tail with parallel edges, as the graph attention needs it."""
        return self.triples[:, [0, 2]].T.contiguous()

    @cached_property
    def entity_ids(self) -> dict[str, int]:
        """Concept identifier to entity id."""
        return {entity.concept: index for index, entity in enumerate(self.entities)}

    def entities_of_types(self, semantic_types: Collection[str], option: str = "semantic_types") -> list[int]:
        """Return the ids of the entities of these semantic types; of all types if none is given.

        Args:
            semantic_types: the types.
            option: where they were given, for the message.

        Raises:
            ConfigurationError: no entity has one of the types.
        """
        found = Counter(entity.semantic_type for entity in self.entities)
        if unknown := [each for each in semantic_types if each not in found]:
            known = ", ".join(f"{name!r} ({count})" for name, count in found.most_common())
            raise ConfigurationError(
                f"{option}: no entity of the knowledge bundle has the semantic type {', '.join(map(repr, unknown))}; the types of its "
                f"{len(self.entities)} entities are {known}: choose from these, or give an empty list for all"
            )
        return [index for index, entity in enumerate(self.entities) if not semantic_types or entity.semantic_type in semantic_types]

    @cached_property
    def ontology(self) -> Ontology:
        """The part of the ontology in the bundle: enough to link a text without the ontology itself.

        The names of the ontology's other concepts are missing, so they hide nothing: if such a name contains an entity's name, that entity
        is found.
        """
        concepts = [Concept(entity.concept, entity.name, entity.synonyms, entity.semantic_type) for entity in self.entities]
        names = [entity.concept for entity in self.entities]
        triples = [Triple(names[head], self.relations[relation], names[tail]) for head, relation, tail in self.triples.tolist()]
        return Ontology.build(self.provenance.ontology, concepts, triples)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all that a model sees."""
        digest = hashlib.sha256(_json(self._record()).encode())
        for tensor in (self.triples, self.vectors):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _record(self) -> dict[str, Any]:
        return {
            "version": FORMAT_VERSION,
            "provenance": asdict(self.provenance),
            "relations": self.relations,
            "entities": [asdict(entity) for entity in self.entities],
        }

    def save(self, folder: Path) -> None:
        """Write the two files of the bundle to ``folder``; create it if necessary."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"triples": self.triples.contiguous(), "vectors": self.vectors.contiguous()}
        save_file(tensors, folder / TENSORS_FILE, metadata={"fingerprint": self.fingerprint})
        record = {**self._record(), "dropped": [asdict(each) for each in self.dropped]}
        (folder / METADATA_FILE).write_text(_json(record), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "KnowledgeBundle":
        """Read a bundle that ``save`` wrote.

        Raises:
            KnowledgeError: a file is missing, damaged or of another version, or the content does not match its fingerprint.
        """
        metadata = _read_metadata(folder)
        tensors, written = _read_tensors(folder)
        try:
            bundle = cls(**vars(metadata), triples=tensors["triples"], vectors=tensors["vectors"])
        except KeyError as error:
            raise KnowledgeError(f"the knowledge bundle in {folder} has no {error}; build it again with jobs/knowledge.py") from error
        if written != bundle.fingerprint:
            raise KnowledgeError(
                f"the files of the knowledge bundle in {folder} were changed or do not belong together (fingerprint {bundle.fingerprint}, "
                f"written {written}); build it again with jobs/knowledge.py"
            )
        return bundle


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True)


def _read_metadata(folder: Path) -> _Metadata:
    path = folder / METADATA_FILE
    try:
        record = parse_object(path.read_bytes())
        if (version := record.get("version")) == FORMAT_VERSION:
            return typed(_Metadata, record)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    raise KnowledgeError(f"{path} is a knowledge bundle of version {version}, this code reads {FORMAT_VERSION}; build it again")


def _read_tensors(folder: Path) -> tuple[dict[str, Tensor], str | None]:
    """Read the tensors, and the fingerprint that was written with them."""
    path = folder / TENSORS_FILE
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, (file.metadata() or {}).get("fingerprint")  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> KnowledgeError:
    return KnowledgeError(f"no readable knowledge bundle in {path.parent}: {path.name}: {error}; make one with jobs/knowledge.py")
