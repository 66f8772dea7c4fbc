"""The configuration of a training run: what a recipe holds."""

from dataclasses import dataclass, field
from typing import Literal

from medvlp.data.collate import Negatives
from medvlp.data.masking import MaskingConfig
from medvlp.errors import ConfigurationError
from medvlp.model.config import ARLConfig
from medvlp.model.execution import ExecutionConfig
from medvlp.optimisation import OptimiserConfig
from medvlp.tasks.pretrain.config import PretextConfig
from scaleout.engine.layout import Layout, Precision
from scaleout.stream.schedule import AccumulationSchedule


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Where samples come from."""

    shards: str
    """URI of the shards that jobs/prepare.py made."""
    links: str
    """URI of the links that jobs/link.py made."""
    weight: float = 1.0
    """In a mixture, how many samples of this corpus are seen beside those of the others, whatever their sizes."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig(CorpusConfig):
    """Where samples come from and how they are read."""

    mixed_with: list[CorpusConfig] = field(default_factory=list)
    """More corpora to train on, linked with the same ontology; validation, the tokenizer and pictures are of the first alone."""
    minimum_crop: float = 0.9
    """Smallest share of the image that a random training crop keeps; 1 turns it off."""
    window_shards: int = 4
    """Shards that are read and shuffled together."""
    ahead: int = 3
    """Micro-batches that each worker keeps ready."""
    bad_samples: float = 0.01
    """The run stops when a larger share of its samples did not decode."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(SourceConfig):
    """Where samples come from and how they become batches."""

    tokenizer: str | None = None
    """Hugging Face folder or name; the one kept beside the shards if none is given."""
    maximum_tokens: int = 64
    """Longer texts are truncated."""
    maximum_entities: int = 24
    """Entities of a text that the knowledge stream reads."""
    width_multiple: int = 16
    """Texts are padded to a multiple of this."""
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    synthetic: bool = False
    """Train on the same random batch again and again instead of samples: what speed the workers would reach if nothing had to be read."""
    label_negated: bool = False
    """Whether a finding that the texts deny ("no pneumothorax") is an entity of the image for alignment all the same, as in the paper."""
    negatives: Negatives = "same_modality"
    """Whose image is a training negative for matching: that of a row of the micro-batch, of the same modality or any; or one
    drawn from the corpus, as the authors' (it is encoded too, and may be the true one)."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """The loop."""

    max_steps: int
    """Optimiser steps."""
    global_batch: int = 256
    """Samples of an optimiser step, over all workers, however many there are."""
    micro_batch: int = 16
    """Samples of one forward."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    seed: int = 0
    log_every: int = 10
    """Optimiser steps between two points of the training curves."""
    validate_every: int = 1000
    """Optimiser steps between two validations; the last step is always validated."""
    validation_samples: int = 2000
    """Samples of the validation split that are used."""
    findings: list[str] = field(default_factory=list)
    """Semantic types of the entities that count as findings in validation; all if empty."""
    checkpoint_every: int = 1000
    """Optimiser steps between two checkpoints; the last step always makes one."""
    keep_checkpoints: int = 2
    """Newest complete checkpoints that are kept."""
    checkpoint_minutes: float = 0.0
    """Minutes after which a checkpoint is made before ``checkpoint_every`` steps are done; looked at whenever a point of the
    curves is made; 0 is never."""
    best_metric: str | None = None
    """Metric of validation, as "val/itm_accuracy", by which the best checkpoint is kept beside the newest; of one that ends in
    "loss" the smallest is the best. Checkpoints count whose step was validated."""
    maximum_skipped_steps: int = 10
    """Steps whose gradient is not finite change nothing; the run stops at one more than this."""
    ledger: bool = False
    """Whether the run's folder keeps the keys of the samples of every step, a file for each checkpoint and worker."""
    watchdog_minutes: float = 20.0
    """A worker in which no step ends for so long writes the stacks of its threads to its log; 0 turns it off."""

    def __post_init__(self) -> None:
        counts = ("max_steps", "global_batch", "micro_batch", "log_every", "checkpoint_every", "keep_checkpoints")
        for name in (*counts, "validate_every", "validation_samples"):
            if getattr(self, name) < 1:
                raise ConfigurationError(f"train.{name} is {getattr(self, name)}: take at least 1")
        for name in ("checkpoint_minutes", "maximum_skipped_steps", "watchdog_minutes"):
            if getattr(self, name) < 0:
                raise ConfigurationError(f"train.{name} is {getattr(self, name)}: take at least 0")
        if self.global_batch % self.micro_batch:
            raise ConfigurationError(f"train.global_batch {self.global_batch} is not a multiple of train.micro_batch {self.micro_batch}")


@dataclass(frozen=True, kw_only=True)
class ScaleConfig(ExecutionConfig):
    """Workers, how they share the model, and how they run it."""

    workers: int = 1
    """Workers that share the training; with ``minimum_workers`` the most of them."""
    minimum_workers: int | None = None
    """Fewest workers that the run starts or goes on with while the cluster has no room for ``workers``; by default as many."""
    resize_minutes: float = 1.0
    """Minutes for which there has to be room for more workers before they join: it takes a checkpoint and a restart."""
    zero_stage: int = 2
    """DeepSpeed ZeRO stage, 0 to 3."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of parameters and arithmetic: "bf16" keeps fp32 copies of the weights, which are what is saved; "auto" is bf16 on GPUs and
    fp32 on CPUs. A run goes on in the precision that it began in."""
    cpus_per_worker: float = 0.5
    """Logical CPUs that Ray reserves for a worker; the rest of the cluster's read data."""
    use_gpu: bool | None = None
    """A GPU for each worker; by default if the cluster has GPUs."""
    threads: int = 0
    """Torch threads of a worker on CPU; 0 shares the cores between the workers of a machine."""
    autoscaling: bool = False
    """The cluster adds nodes on demand: what it does not have yet is waited for, not refused; say ``use_gpu`` then."""
    max_failures: int = 3
    """Restarts of the workers from the last checkpoint before the run gives up."""
    collective_timeout_minutes: float = 10.0
    """Minutes after which a worker gives up waiting for another one, and the workers are restarted. Longer than a checkpoint
    takes to storage, for the first worker waits for it; the first step has at least half an hour."""

    def __post_init__(self) -> None:
        for name in ("collective_timeout_minutes", "resize_minutes"):
            if getattr(self, name) <= 0:
                raise ConfigurationError(f"scale.{name} is {getattr(self, name)}: take more than 0")
        if self.workers < 1 or self.zero_stage not in (0, 1, 2, 3):
            raise ConfigurationError(f"scale: workers {self.workers} must be at least 1, zero_stage {self.zero_stage} one of 0, 1, 2, 3")
        if not 1 <= self.fewest_workers <= self.workers:
            raise ConfigurationError(f"scale.minimum_workers is {self.fewest_workers}: take 1 to scale.workers {self.workers}")

    @property
    def fewest_workers(self) -> int:
        """Workers without which the run does not start."""
        return self.workers if self.minimum_workers is None else self.minimum_workers

    def layout(self, *, uses_gpu: bool) -> Layout:
        """Of the training state of workers on GPUs, or on CPUs."""
        automatic: Precision = "bf16" if uses_gpu else "fp32"
        return Layout(self.zero_stage, automatic if self.precision == "auto" else self.precision)


@dataclass(frozen=True, kw_only=True)
class TrackingConfig:
    """MLflow."""

    uri: str | None = None
    """Tracking store; by default MLFLOW_TRACKING_URI, else mlflow.db in the storage folder."""
    experiment: str = "medvlp"
    pictures: bool | None = None
    """Log pictures of images; by default only for a corpus whose manifest says that it is public."""
    parent_run: str | None = None
    """MLflow id of the run that this one belongs to, as in a sweep."""


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every training run is told, whatever it trains."""

    name: str
    """Name of the run: the same name with the same configuration resumes it."""
    storage: str
    """URI of the folder with all runs."""
    knowledge: str
    """URI of the knowledge bundle that jobs/knowledge.py made."""
    data: DataConfig
    train: TrainConfig
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        if not self.name or set(self.name) & set("/\\ :"):
            raise ConfigurationError(f"name {self.name!r} names a folder: take one without slashes, colons and spaces")

    def schedule(self, workers: int) -> AccumulationSchedule:
        """How ``workers`` workers share the micro-batches of a step."""
        return AccumulationSchedule(self.train.global_batch // self.train.micro_batch, workers)


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(RunConfig):
    """Pre-train ARL on shards, links and a knowledge bundle."""

    model: ARLConfig = field(default_factory=ARLConfig)
    pretext: PretextConfig = field(default_factory=PretextConfig)
    initial_weights: str | None = None
    """URI of the folder that jobs/import_weights.py made: a new run starts from its weights."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pretext.masked_image.layer > self.model.fusion.layers:
            raise ConfigurationError(
                f"pretext.masked_image.layer {self.pretext.masked_image.layer} lies behind the last of the {self.model.fusion.layers} "
                "layers of model.fusion: take a smaller one"
            )
        language = self.model.language
        longest = language.positions - (2 if language.architecture == "roberta" else 0)
        if self.data.maximum_tokens > longest:
            raise ConfigurationError(
                f"data.maximum_tokens {self.data.maximum_tokens} is more than the {longest} tokens that {language.positions} "
                "model.language.positions have room for: lower it, or take more positions"
            )


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Fine-tune a pre-trained model to answer questions. What is not said here is taken from its pre-training run."""

    name: str
    """Name of the run: the same name with the same configuration resumes it."""
    storage: str
    """URI of the folder with all runs."""
    pretrained: str
    """URI of a pre-training run, whose newest checkpoint is taken, or of one of its checkpoints."""
    data: SourceConfig
    train: TrainConfig
    knowledge: str | None = None
    """URI of the knowledge bundle of the pre-training run, if it no longer lies where that run found it."""
    tokenizer: str | None = None
    """The tokenizer of the pre-training run, if it no longer lies where that run found it."""
    minimum_answer_count: int = 1
    """Fewest training questions with an answer for the model to be able to give it."""
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


@dataclass(frozen=True, kw_only=True)
class QuestionAnsweringConfig(RunConfig):
    """A ``FinetuneConfig`` with everything that was taken from the pre-training run."""

    pretrained: str
    """URI of the checkpoint that the model starts from."""
    minimum_answer_count: int
    model: ARLConfig
