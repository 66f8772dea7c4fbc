"""The knowledge bundle: everything a model needs to know of an ontology, as one object with one fingerprint.

Shapes: N entities, M triples, K width of the vectors.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from medvlp.errors import KnowledgeError

FORMAT_VERSION = 1
METADATA_FILE = "bundle.json"
TENSORS_FILE = "bundle.safetensors"


@dataclass(frozen=True, slots=True)
class Entity:
    """A concept that made it into the vocabulary; its position in the bundle is its entity id."""

    concept: str
    name: str
    semantic_type: str
    count: int
    """Mentions in the training split."""


@dataclass(frozen=True)
class Provenance:
    """Where a bundle comes from."""

    ontology: str
    ontology_fingerprint: str
    links_fingerprint: str
    linker: str
    minimum_count: int


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

    def __post_init__(self) -> None:
        if self.vectors.shape[0] != len(self.entities) or self.triples.ndim != 2 or self.triples.shape[1] != 3:
            raise KnowledgeError(
                f"knowledge bundle contradicts itself: {len(self.entities)} entities, vectors {tuple(self.vectors.shape)}, "
                f"triples {tuple(self.triples.shape)}; build it again with jobs/knowledge.py"
            )

    @property
    def edge_index(self) -> Tensor:
        """int64 [2, M]: head to tail, parallel edges kept, as the graph attention wants it."""
        return self.triples[:, [0, 2]].T.contiguous()

    @cached_property
    def entity_ids(self) -> dict[str, int]:
        """Concept identifier to entity id."""
        return {entity.concept: index for index, entity in enumerate(self.entities)}

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the whole content."""
        digest = hashlib.sha256(self._metadata().encode())
        for tensor in (self.triples, self.vectors):
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _metadata(self) -> str:
        record = {
            "version": FORMAT_VERSION,
            "provenance": asdict(self.provenance),
            "relations": self.relations,
            "entities": [asdict(entity) for entity in self.entities],
        }
        return json.dumps(record, ensure_ascii=False, indent=1, sort_keys=True)

    def save(self, folder: Path) -> None:
        """Write the two files of the bundle into ``folder``."""
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {"triples": self.triples.contiguous(), "vectors": self.vectors.contiguous()}
        save_file(tensors, folder / TENSORS_FILE, metadata={"fingerprint": self.fingerprint})
        (folder / METADATA_FILE).write_text(self._metadata())

    @classmethod
    def load(cls, folder: Path) -> "KnowledgeBundle":
        """Read a bundle that ``save`` wrote.

        Raises:
            KnowledgeError: a file is missing, of another version, or the content does not match its fingerprint.
        """
        try:
            record = json.loads((folder / METADATA_FILE).read_text())
            tensors = load_file(folder / TENSORS_FILE)
        except (OSError, ValueError) as error:
            raise KnowledgeError(f"no readable knowledge bundle in {folder}: {error}; make one with jobs/knowledge.py") from error
        if record.get("version") != FORMAT_VERSION:
            raise KnowledgeError(f"{folder} is a bundle of version {record.get('version')}, this code reads {FORMAT_VERSION}; build it again")
        bundle = cls(
            entities=tuple(Entity(**entity) for entity in record["entities"]),
            relations=tuple(record["relations"]),
            triples=tensors["triples"].to(torch.int64),
            vectors=tensors["vectors"].to(torch.float32),
            provenance=Provenance(**record["provenance"]),
        )
        _check_fingerprint(bundle, folder)
        return bundle


def _check_fingerprint(bundle: KnowledgeBundle, folder: Path) -> None:
    from safetensors import safe_open

    with safe_open(folder / TENSORS_FILE, framework="pt") as file:
        written = (file.metadata() or {}).get("fingerprint")
    if written != bundle.fingerprint:
        raise KnowledgeError(f"the files of {folder} do not belong together (fingerprint {bundle.fingerprint}, written {written}); build it again")
