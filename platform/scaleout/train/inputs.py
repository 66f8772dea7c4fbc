"""What a run reads, opened once on the driver: manifests, their fingerprints, and whether they belong together."""

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from medvlp.data.tokenizer import load_tokenizer
from medvlp.errors import DataError, KnowledgeError
from medvlp.knowledge.bundle import KnowledgeBundle
from scaleout import storage
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import TOKENIZER_FOLDER, ShardManifest
from scaleout.stream.plan import StreamPlan
from scaleout.stream.rows import RowReader
from scaleout.train.config import DataConfig, RunConfig


@dataclass(frozen=True)
class Inputs:
    """Shards, links and knowledge of a run."""

    shards: ShardManifest
    links: LinksManifest
    bundle: KnowledgeBundle

    @classmethod
    def open(cls, data: DataConfig, knowledge: str) -> "Inputs":
        """Read the manifests and the bundle.

        Raises:
            DataError: shards or links are missing or damaged, or the links are of other shards.
            KnowledgeError: the bundle is missing or damaged, or of another ontology than the links.
        """
        shards, links = ShardManifest.load(data.shards), LinksManifest.load(data.links)
        with storage.local_copy(knowledge) as folder:
            bundle = KnowledgeBundle.load(folder)
        inputs = cls(shards, links, bundle)
        inputs._check(data, knowledge)
        return inputs

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of everything that decides what the model sees."""
        return {"shards": self.shards.fingerprint, "links": self.links.fingerprint, "knowledge": self.bundle.fingerprint}

    def _check(self, data: DataConfig, knowledge: str) -> None:
        if self.links.shards_fingerprint != self.shards.fingerprint:
            raise DataError(f"the links {data.links} were made of other shards than {data.shards}; make them again with jobs/link.py")
        made_with = self.bundle.provenance
        if made_with.ontology_fingerprint != self.links.ontology_fingerprint:
            raise KnowledgeError(
                f"the links {data.links} name concepts of ontology {self.links.ontology!r} ({self.links.ontology_fingerprint}), "
                f"the bundle {knowledge} is of {made_with.ontology!r} ({made_with.ontology_fingerprint}): "
                "make one of them again with the other's ontology"
            )


def row_reader(config: RunConfig, inputs: Inputs, split: str) -> RowReader:
    """Reads the rows of a split in the order of the run's plan."""
    plan = StreamPlan.of_split(inputs.shards, split, seed=config.train.seed, window_shards=config.data.window_shards)
    return RowReader(
        plan=plan,
        shards=config.data.shards,
        links=config.data.links,
        links_manifest=inputs.links,
        entity_ids=inputs.bundle.entity_ids,
    )


def open_tokenizer(data: DataConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a run."""
    if data.tokenizer:
        return load_tokenizer(data.tokenizer)
    with storage.local_copy(storage.join(data.shards, TOKENIZER_FOLDER)) as folder:
        return load_tokenizer(folder)
