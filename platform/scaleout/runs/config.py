"""The configuration of a training run: what a recipe holds.

A run is its name: the same name with the same configuration resumes it. What a resumed run may have otherwise is said at the field:
``MAY_CHANGE`` (where things lie, whose fingerprints count instead; who works; what is logged) and ``MAY_GROW``.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from medvlp.data.collate import Negatives
from medvlp.data.masking import MaskingConfig
from medvlp.errors import ConfigurationError
from medvlp.model.config import ARLConfig
from medvlp.model.execution import ExecutionConfig
from medvlp.optimisation import OptimiserConfig
from medvlp.tasks.base import Task
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.registry import TASK
from medvlp.tasks.vqa.task import QuestionAnswering
from scaleout.engine.layout import Layout, Precision
from scaleout.stream.schedule import AccumulationSchedule

MAY_CHANGE: dict[str, Any] = {"resumed": "may change"}
"""Metadata of a field, or of a whole section, that a resumed run may have otherwise."""
MAY_GROW: dict[str, Any] = {"resumed": "may grow"}
"""Metadata of a field that a resumed run may have larger."""


@dataclass(frozen=True, kw_only=True)
class CorpusConfig:
    """Where samples come from."""

    shards: str = field(metadata=MAY_CHANGE)
    """URI of the shards that jobs/prepare.py made."""
    links: str = field(metadata=MAY_CHANGE)
    """URI of the links that jobs/link.py made."""
    weight: float = 1.0
    """In a mixture, how many samples of this corpus are seen beside those of the others, whatever their sizes."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig(CorpusConfig):
    """Where samples come from and how they are read."""

    mixed_with: list[CorpusConfig] = field(default_factory=list, metadata=MAY_CHANGE)
    """More corpora to train on, linked with the same ontology; validation, the tokenizer and pictures are of the first alone."""
    minimum_crop: float = 0.9
    """Smallest share of the image that a random training crop keeps; 1 turns it off."""
    window_shards: int = 4
    """Shards that are read and shuffled together."""
    ahead: int = field(default=3, metadata=MAY_CHANGE)
    """Micro-batches that each worker keeps ready."""
    bad_samples: float = field(default=0.01, metadata=MAY_CHANGE)
    """The run stops when a larger share of its samples did not decode."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(SourceConfig):
    """Where samples come from and how they become batches."""

    tokenizer: str | None = field(default=None, metadata=MAY_CHANGE)
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

    max_steps: int = field(metadata=MAY_GROW)
    """Optimiser steps."""
    global_batch: int = 256
    """Samples of an optimiser step, over all workers, however many there are."""
    micro_batch: int = 16
    """Samples of one forward."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    seed: int = 0
    log_every: int = field(default=10, metadata=MAY_CHANGE)
    """Optimiser steps between two points of the training curves."""
    validate_every: int = field(default=1000, metadata=MAY_CHANGE)
    """Optimiser steps between two validations; the last step is always validated."""
    validation_samples: int = 2000
    """Samples of the validation split that are used."""
    findings: list[str] = field(default_factory=list)
    """Semantic types of the entities that count as findings in validation; all if empty."""
    checkpoint_every: int = field(default=1000, metadata=MAY_CHANGE)
    """Optimiser steps between two checkpoints; the last step always makes one."""
    keep_checkpoints: int = field(default=2, metadata=MAY_CHANGE)
    """Newest complete checkpoints that are kept."""
    checkpoint_minutes: float = field(default=0.0, metadata=MAY_CHANGE)
    """Minutes after which a checkpoint is made before ``checkpoint_every`` steps are done; looked at whenever a point of the
    curves is made; 0 is never."""
    best_metric: str | None = field(default=None, metadata=MAY_CHANGE)
    """Metric of validation, as "val/itm_accuracy", by which the best checkpoint is kept beside the newest; of one that ends in
    "loss" the smallest is the best. Checkpoints count whose step was validated."""
    maximum_skipped_steps: int = field(default=10, metadata=MAY_CHANGE)
    """Steps whose gradient is not finite change nothing; the run stops at one more than this."""
    ledger: bool = field(default=False, metadata=MAY_CHANGE)
    """Whether the run's folder keeps the keys of the samples of every step, a file for each checkpoint and worker."""
    watchdog_minutes: float = field(default=20.0, metadata=MAY_CHANGE)
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


State = Literal["weights", "full"]


@dataclass(frozen=True, kw_only=True)
class StartConfig:
    """What a new run starts from; a run that was begun goes on from its own newest checkpoint."""

    start_from: str | None = None
    """URI of a run, of one of its checkpoints, of imported weights (jobs/import_weights.py) or of a model folder (jobs/export.py)."""
    start_checkpoint: str = "last"
    """Of a run: "last", "best" (see ``train.best_metric``), or the number of a step."""
    start_state: State = "weights"
    """Only the weights, or for a fork of a run the full state: optimiser, schedule and position in the samples too."""

    def __post_init__(self) -> None:
        if self.start_from is None and (self.start_checkpoint != "last" or self.start_state != "weights"):
            raise ConfigurationError("start_checkpoint and start_state say how to start from another run: name it with --start_from")


@dataclass(frozen=True, kw_only=True)
class RunConfig(StartConfig):
    """What every training run is told, whatever it trains."""

    name: str = field(metadata=MAY_CHANGE)
    """Name of the run: the same name with the same configuration resumes it."""
    storage: str = field(metadata=MAY_CHANGE)
    """URI of the folder with all runs."""
    knowledge: str = field(metadata=MAY_CHANGE)
    """URI of the knowledge bundle that jobs/knowledge.py made."""
    data: DataConfig
    train: TrainConfig
    task: Task = field(default_factory=Pretraining, metadata=TASK.metadata)
    """What is trained."""
    model: ARLConfig = field(default_factory=ARLConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig, metadata=MAY_CHANGE)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=MAY_CHANGE)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name(self.name)
        self.task.check(self.model)
        language = self.model.language
        longest = language.positions - (2 if language.architecture == "roberta" else 0)
        if self.data.maximum_tokens > longest:
            raise ConfigurationError(
                f"data.maximum_tokens {self.data.maximum_tokens} is more than the {longest} tokens that {language.positions} "
                "model.language.positions have room for: lower it, or take more positions"
            )

    def schedule(self, workers: int) -> AccumulationSchedule:
        """How ``workers`` workers share the micro-batches of a step."""
        return AccumulationSchedule(self.train.global_batch // self.train.micro_batch, workers)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(StartConfig):
    """Fine-tune a trained model on a task. What is not said here (model, text sizes, tokenizer, knowledge) is taken from its run."""

    name: str
    """Name of the run: the same name with the same configuration resumes it."""
    storage: str
    """URI of the folder with all runs."""
    data: SourceConfig
    train: TrainConfig
    task: Task = field(default_factory=QuestionAnswering, metadata=TASK.metadata)
    """What is trained."""
    knowledge: str | None = None
    """URI of the knowledge bundle of the run that it starts from, if it no longer lies where that run found it."""
    tokenizer: str | None = None
    """The tokenizer of the run that it starts from, if it no longer lies where that run found it."""
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_name(self.name)
        if self.start_from is None:
            raise ConfigurationError("fine-tuning starts from a trained model: name its run, checkpoint or folder with --start_from")


def check_name(name: str) -> None:
    """Refuse a name that is no name of a folder.

    Raises:
        ConfigurationError: it is not.
    """
    if not name or set(name) & set("/\\ :\0") or name.strip(".") == "":
        raise ConfigurationError(f"name {name!r} names a folder: take one without slashes, colons and spaces")
