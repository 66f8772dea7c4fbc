"""What a run reads, opened once on the driver: manifests, their fingerprints, and whether they belong together."""

import hashlib
import json
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from medvlp.data.tokenizer import load_tokenizer
from medvlp.errors import DataError, KnowledgeError
from medvlp.knowledge.bundle import METADATA_FILE, KnowledgeBundle
from scaleout import storage
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import TOKENIZER_FOLDER, ShardManifest
from scaleout.stream.plan import StreamPlan
from scaleout.stream.rows import RowReader
from scaleout.train.config import DataConfig, RunConfig


@dataclass(frozen=True)
class Inputs:
    """Shards, links, knowledge and tokenizer of a run."""

    shards: ShardManifest
    links: LinksManifest
    bundle: KnowledgeBundle
    tokenizer: str
    """Fingerprint of the tokenizer."""

    @classmethod
    def open(cls, config: RunConfig) -> "Inputs":
        """Read the manifests, the bundle and the tokenizer.

        Raises:
            DataError: shards or links are missing or damaged, or the links are of other shards.
            KnowledgeError: the bundle is missing or damaged, or of another ontology than the links.
            ConfigurationError: there is no tokenizer.
        """
        data = config.data
        shards, links = ShardManifest.load(data.shards), LinksManifest.load(data.links)
        inputs = cls(shards, links, open_knowledge(config.knowledge), tokenizer_fingerprint(open_tokenizer(data)))
        inputs._check(data, config.knowledge)
        return inputs

    @property
    def fingerprints(self) -> dict[str, str]:
        """Of everything that decides what the model sees."""
        found = {"shards": self.shards.fingerprint, "links": self.links.fingerprint, "knowledge": self.bundle.fingerprint}
        return {**found, "tokenizer": self.tokenizer}

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
        if made_with.linker != self.links.linker_version:
            raise KnowledgeError(
                f"the links {data.links} were made by linker {self.links.linker_version}, the bundle {knowledge} counts those of "
                f"{made_with.linker}: make the older one again, with jobs/link.py or jobs/knowledge.py"
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
        corpus_negatives=split == "train" and config.data.negatives == "corpus",
        label_negated=config.data.label_negated,
    )


def open_knowledge(uri: str) -> KnowledgeBundle:
    """The knowledge bundle at ``uri``.

    Raises:
        KnowledgeError: there is none, or it is damaged.
    """
    if not storage.exists(storage.join(uri, METADATA_FILE)):
        raise KnowledgeError(f"no knowledge bundle in {uri} ({METADATA_FILE} is missing); make it with jobs/knowledge.py")
    with storage.local_copy(uri) as folder:
        return KnowledgeBundle.load(folder)


def tokenizer_uri(data: DataConfig) -> str:
    """Where the tokenizer of a run lies, or its Hugging Face name."""
    return data.tokenizer or storage.join(data.shards, TOKENIZER_FOLDER)


def open_tokenizer(data: DataConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a run.

    Raises:
        ConfigurationError: there is none.
    """
    uri = tokenizer_uri(data)
    if not storage.exists(uri):
        return load_tokenizer(uri)
    with storage.local_copy(uri) as folder:
        return load_tokenizer(folder)


def tokenizer_fingerprint(tokenizer: PreTrainedTokenizerBase) -> str:
    """A hash of the vocabulary: token ids mean the same under every tokenizer that has it."""
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return hashlib.sha256(json.dumps(vocabulary).encode()).hexdigest()[:16]
