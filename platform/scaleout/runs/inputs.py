"""The inputs of a run, opened once on the driver: manifests, fingerprints, and the check that they belong together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from medvlp.data.image import ImageConfig
from medvlp.data.text import TextConfig
from medvlp.errors import CheckpointError, ConfigurationError, DataError, KnowledgeError
from medvlp.knowledge.bundle import METADATA_FILE, KnowledgeBundle
from medvlp.tasks.base import TaskContext
from scaleout.io import storage
from scaleout.io.artefacts import instead
from scaleout.links.manifest import LinksManifest
from scaleout.runs.config import DataConfig, RunConfig
from scaleout.shards.manifest import TOKENIZER_FOLDER, ShardManifest
from scaleout.stream.plan import PlannedCorpus, StreamPlan
from scaleout.stream.rows import CorpusFolders, PlannedSplit, RowReader

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase  # takes a second, and reading rows does not need it

_OPTIONS = {
    "knowledge": "--knowledge",
    "tokenizer": "--data.tokenizer (of jobs/finetune.py, evaluate.py and export.py: --tokenizer)",
}
"""The options for the locations of inputs that were moved."""


@dataclass(frozen=True)
class CorpusInputs:
    """Shards and links of one corpus."""

    folders: CorpusFolders
    shards: ShardManifest
    links: LinksManifest
    weight: float

    @classmethod
    def open(cls, shards: str, links: str, weight: float) -> "CorpusInputs":
        """Read the manifests.

        Raises:
            DataError: shards or links are missing or damaged, or the links were made from other shards.
        """
        corpus = cls(CorpusFolders(shards=shards, links=links), ShardManifest.load(shards), LinksManifest.load(links), weight)
        if corpus.links.shards_fingerprint != corpus.shards.fingerprint:
            raise DataError(
                f"the links {links} were made from other shards than {shards}: give those that belong together with --data.shards and "
                "--data.links (of jobs/evaluate.py: --shards and --links), or make the links again with jobs/link.py"
            )
        return corpus

    def planned(self, split: str) -> PlannedCorpus:
        """Return the facts about a split that a plan needs."""
        return PlannedCorpus.of_split(self.shards, self.links, split, weight=self.weight)


@dataclass(frozen=True)
class Inputs:
    """Shards, links, knowledge and tokenizer of a run."""

    corpora: tuple[CorpusInputs, ...]
    """The corpora, the main one first."""
    bundle: KnowledgeBundle
    tokenizer: "PreTrainedTokenizerBase"

    @classmethod
    def open(cls, config: RunConfig) -> "Inputs":
        """Read the manifests, the bundle and the tokenizer.

        Raises:
            DataError: shards or links are missing or damaged, or the links were made from other shards.
            KnowledgeError: the bundle is missing or damaged, or its ontology is not that of the links.
            ConfigurationError: there is no tokenizer.
        """
        inputs = cls(open_corpora(config.data), open_knowledge(config.knowledge), open_tokenizer(config.data))
        for corpus in inputs.corpora:
            inputs._check(corpus, config.knowledge)
        return inputs

    @property
    def shards(self) -> ShardManifest:
        """The shards of the main corpus."""
        return self.corpora[0].shards

    @property
    def links(self) -> LinksManifest:
        """The links of the main corpus."""
        return self.corpora[0].links

    @property
    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprints of everything that determines what the model sees."""
        from medvlp.data.tokenizer import tokenizer_fingerprint

        found = {"shards": self.shards.fingerprint, "links": self.links.fingerprint, "knowledge": self.bundle.fingerprint}
        mixed = [f"{each.shards.fingerprint} {each.links.fingerprint} {each.weight:g}" for each in self.corpora[1:]]
        return {**found, "tokenizer": tokenizer_fingerprint(self.tokenizer), **({"mixed_with": ", ".join(mixed)} if mixed else {})}

    def _check(self, corpus: CorpusInputs, knowledge: str) -> None:
        made_with, links, where = self.bundle.provenance, corpus.links, corpus.folders.links
        if made_with.ontology_fingerprint != links.ontology_fingerprint:
            raise KnowledgeError(
                f"the links {where} name concepts of ontology {links.ontology!r} ({links.ontology_fingerprint}), "
                f"but the bundle {knowledge} was made from {made_with.ontology!r} ({made_with.ontology_fingerprint}): "
                "give another bundle with --knowledge or other links with --data.links, or make one of them again with the other's ontology"
            )
        if made_with.linker != links.linker_version:
            raise KnowledgeError(
                f"the links {where} were made by linker {links.linker_version}, but the bundle {knowledge} was made with "
                f"{made_with.linker}: give another bundle with --knowledge or other links with --data.links, or make the older one again, "
                "with jobs/link.py or jobs/knowledge.py"
            )


def training_split(config: RunConfig, corpora: tuple[CorpusInputs, ...], bundle: KnowledgeBundle) -> PlannedSplit:
    """Return the training samples of all corpora."""
    return _planned_split(config, corpora, bundle, "train", corpus_negatives=config.data.negatives == "corpus")


def evaluation_split(config: RunConfig, inputs: Inputs, split: str) -> PlannedSplit:
    """Return the samples of a split of the main corpus.

    Raises:
        DataError: the corpus has no such split, or the split is empty.
    """
    return _planned_split(config, inputs.corpora[:1], inputs.bundle, split)


def task_context(
    config: RunConfig, tokenizer: "PreTrainedTokenizerBase", bundle: KnowledgeBundle, targets: Mapping[str, Any]
) -> TaskContext:
    """Return the context of a run's task."""
    data = config.data
    return TaskContext(
        model=config.model,
        image=ImageConfig(size=config.model.vision.image_size, minimum_crop=data.minimum_crop),
        text=TextConfig(maximum_tokens=data.maximum_tokens, maximum_entities=data.maximum_entities, width_multiple=data.width_multiple),
        tokenizer=tokenizer,
        bundle=bundle,
        targets=targets,
        finding_types=tuple(config.train.findings),
        masking=data.masking,
        negatives=data.negatives,
        seed=config.train.seed,
    )


def _planned_split(
    config: RunConfig, corpora: tuple[CorpusInputs, ...], bundle: KnowledgeBundle, split: str, *, corpus_negatives: bool = False
) -> PlannedSplit:
    plan = StreamPlan(
        corpora=tuple(corpus.planned(split) for corpus in corpora),
        seed=config.train.seed,
        window_shards=config.data.window_shards,
        corpus_negatives=corpus_negatives,
    )
    # Shards of different corpora have the same names, and the corpora may share a name too.
    labels = [f"{number}-{corpus.shards.corpus}/" if len(corpora) > 1 else "" for number, corpus in enumerate(corpora, 1)]
    reader = RowReader(
        corpora=tuple(replace(corpus.folders, label=label) for corpus, label in zip(corpora, labels, strict=True)),
        seed=config.train.seed,
        entity_ids=bundle.entity_ids,
        label_negated=config.data.label_negated,
        attributes=config.task.uses_attributes,
    )
    return PlannedSplit(plan, reader)


def open_corpora(data: DataConfig) -> tuple[CorpusInputs, ...]:
    """Open shards and links of all corpora, the main one first.

    Raises:
        DataError: shards or links are missing or damaged, or the links were made from other shards.
    """
    return tuple(CorpusInputs.open(each.shards, each.links, each.weight) for each in (data, *data.mixed_with))


def open_knowledge(uri: str) -> KnowledgeBundle:
    """Open the knowledge bundle at ``uri``.

    Raises:
        KnowledgeError: there is none, or it is damaged.
    """
    if not storage.exists(storage.join(uri, METADATA_FILE)):
        raise KnowledgeError(
            f"no knowledge bundle in {uri} ({METADATA_FILE} is missing){instead(uri)}: if it was moved, give its new place with "
            f"{_OPTIONS['knowledge']}, else make it with jobs/knowledge.py"
        )
    with storage.local_copy(uri) as folder:
        return KnowledgeBundle.load(folder)


def tokenizer_uri(data: DataConfig) -> str:
    """Return the URI of a run's tokenizer, or its Hugging Face name."""
    return data.tokenizer or storage.join(data.shards, TOKENIZER_FOLDER)


def open_tokenizer(data: DataConfig) -> "PreTrainedTokenizerBase":
    """Open the tokenizer of a run.

    Raises:
        ConfigurationError: there is none.
    """
    from medvlp.data.tokenizer import load_tokenizer

    uri = tokenizer_uri(data)
    try:
        if not storage.exists(uri):
            return load_tokenizer(uri)
        with storage.local_copy(uri) as folder:
            return load_tokenizer(folder)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error}; if it was moved, give its new place with {_OPTIONS['tokenizer']}") from error


def with_moved_inputs(config: RunConfig, knowledge: str | None, tokenizer: str | None) -> RunConfig:
    """Return the configuration of a run with new locations of its knowledge bundle and its tokenizer."""
    if tokenizer and storage.exists(tokenizer):  # otherwise a Hugging Face name
        tokenizer = storage.absolute(tokenizer)
    data = replace(config.data, tokenizer=tokenizer or config.data.tokenizer)
    return replace(config, knowledge=storage.absolute(knowledge) if knowledge else config.knowledge, data=data)


def check_fingerprints(trained_with: Mapping[str, str], bundle: KnowledgeBundle, tokenizer: "PreTrainedTokenizerBase", what: str) -> None:
    """Check that these are the knowledge and the tokenizer that weights were trained with.

    Args:
        trained_with: fingerprints of a run or a model folder.
        bundle: the knowledge that was found.
        tokenizer: the tokenizer that was found.
        what: what was trained, for messages.

    Raises:
        CheckpointError: they are others.
    """
    from medvlp.data.tokenizer import tokenizer_fingerprint

    for name, found in (("knowledge", bundle.fingerprint), ("tokenizer", tokenizer_fingerprint(tokenizer))):
        if (then := trained_with.get(name)) != found:
            raise CheckpointError(f"{what} was trained with {name} {then}, but found {found}: give the old one with {_OPTIONS[name]}")
