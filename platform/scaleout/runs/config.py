"""The configuration of a training run, as a recipe gives it.

A name identifies a run: the same name with the same configuration resumes it. The metadata of a field says whether a resumed run may change
it: ``MAY_CHANGE`` (locations, whose fingerprints count instead; workers; logging) and ``MAY_GROW``.
"""

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from medvlp.data.collate import Negatives
from medvlp.data.masking import MaskingConfig
from medvlp.data.text import TokenCount
from medvlp.errors import ConfigurationError
from medvlp.model.config import ARLConfig
from medvlp.model.execution import ExecutionConfig
from medvlp.optimisation import OptimiserConfig
from medvlp.tasks.base import Task
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.registry import TASK
from medvlp.tasks.vqa.task import QuestionAnswering
from medvlp.values import AnyInteger, Checked, Count, CountOrZero, Positive, PositiveOrZero, PositiveShare, Range, Share
from scaleout.engine.layout import Layout, Precision
from scaleout.io.places import Name, Place
from scaleout.stream.schedule import AccumulationSchedule

MAY_CHANGE: dict[str, Any] = {"resumed": "may change"}
"""Metadata of a field, or of a whole section, that a resumed run may change."""
MAY_GROW: dict[str, Any] = {"resumed": "may grow"}
"""Metadata of a field that a resumed run may increase."""

_LONGEST = 10_000_000
"""Minutes; clocks of some libraries overflow after a few centuries."""
Minutes = Annotated[float, Range(above=0, at_most=_LONGEST)]
MinutesOrZero = Annotated[float, Range(at_least=0, at_most=_LONGEST)]


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(Checked):
    """The source of the samples."""

    shards: Place = field(metadata=MAY_CHANGE)
    """URI of the shards made by jobs/prepare.py."""
    links: Place = field(metadata=MAY_CHANGE)
    """URI of the links made by jobs/link.py."""
    weight: Positive = 1.0
    """Sampling weight of this corpus in a mixture, relative to the other corpora and independent of corpus size."""


@dataclass(frozen=True, kw_only=True)
class SourceConfig(CorpusConfig):
    """The source of the samples and how they are read."""

    mixed_with: list[CorpusConfig] = field(default_factory=list, metadata=MAY_CHANGE)
    """More corpora to train on, linked with the same ontology. Validation, tokenizer and pictures come from the main corpus only."""
    minimum_crop: PositiveShare = 0.9
    """Smallest fraction of the image that a random training crop keeps; 1 disables cropping."""
    window_shards: Count = 4
    """Number of shards that are read and shuffled together."""
    ahead: Count = field(default=3, metadata=MAY_CHANGE)
    """Number of micro-batches that each worker prefetches."""
    processes: Count | None = field(default=None, metadata=MAY_CHANGE)
    """Processes of each worker that decode and collate; 1 does both in the worker itself. By default as many as its share of the machine's
    cores if it has a GPU, else 1, because these cores train."""
    bad_samples: Share = field(default=0.01, metadata=MAY_CHANGE)
    """Stop the run when more than this fraction of its samples cannot be decoded."""

    def decoders(self, cores: int, *, uses_gpu: bool) -> int:
        """Return the number of processes that decode in a worker with this share of the cores."""
        return self.processes or (cores if uses_gpu else 1)


@dataclass(frozen=True, kw_only=True)
class DataConfig(SourceConfig):
    """The source of the samples and how they are batched."""

    tokenizer: Place | None = field(default=None, metadata=MAY_CHANGE)
    """Hugging Face folder or name; by default the tokenizer stored with the shards."""
    maximum_tokens: TokenCount = 64
    """Tokens per text; longer texts are truncated."""
    maximum_entities: Count = 24
    """Maximum number of entities per text in the knowledge stream."""
    width_multiple: Count = 16
    """Pad texts to a multiple of this many tokens."""
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    synthetic: bool = False
    """Train on one random batch repeatedly instead of real samples, to measure the speed of the workers without reading."""
    label_negated: bool = False
    """Align the image with findings that the texts negate ("no pneumothorax") too, as in the paper."""
    negatives: Negatives = "same_modality"
    """Source of the negative images for matching in training: another row of the micro-batch, of the same modality or any, or the whole
    corpus, as the authors do (the image is encoded too, and may be the true one)."""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Checked):
    """The training loop."""

    max_steps: Count = field(metadata=MAY_GROW)
    """Number of optimiser steps."""
    global_batch: Count = 256
    """Samples per optimiser step over all workers, whatever their number."""
    micro_batch: Count = 16
    """Samples per forward pass."""
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    seed: AnyInteger = 0
    log_every: Count = field(default=10, metadata=MAY_CHANGE)
    """Optimiser steps between two points of the training curves."""
    validate_every: Count = field(default=1000, metadata=MAY_CHANGE)
    """Optimiser steps between two validations; the last step is always validated."""
    validation_samples: Count = 2000
    """Number of samples of the validation split to use."""
    findings: list[str] = field(default_factory=list, metadata=MAY_CHANGE)
    """Semantic types of the entities that count as findings in validation, of those that jobs/knowledge.py --inspect lists; empty for
    all."""
    checkpoint_every: Count = field(default=1000, metadata=MAY_CHANGE)
    """Optimiser steps between two checkpoints; the last step always writes one. At a skipped step, it waits for the next step that is not
    skipped."""
    keep_checkpoints: Count = field(default=2, metadata=MAY_CHANGE)
    """Number of newest complete checkpoints to keep."""
    checkpoint_minutes: MinutesOrZero = field(default=0.0, metadata=MAY_CHANGE)
    """Also write a checkpoint after this many minutes, even before ``checkpoint_every`` steps; checked every ``log_every`` steps. 0
    disables it."""
    best_metric: str | None = field(default=None, metadata=MAY_CHANGE)
    """Validation metric, such as "val/itm_accuracy", that selects a best checkpoint to keep with the newest ones. For a metric that ends in
    "loss", smaller is better. Only checkpoints of validated steps count."""
    maximum_skipped_steps: CountOrZero = field(default=10, metadata=MAY_CHANGE)
    """Maximum number of skipped steps. A step with a non-finite gradient is skipped; one more than this stops the run."""
    ledger: bool = field(default=False, metadata=MAY_CHANGE)
    """Record the sample keys of every step in the run's folder, one file per checkpoint and worker."""
    watchdog_minutes: MinutesOrZero = field(default=20.0, metadata=MAY_CHANGE)
    """If no step ends for this many minutes, a worker writes the stack traces of its threads to its log; 0 disables it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.global_batch % self.micro_batch:
            raise ConfigurationError(f"train.global_batch {self.global_batch} is not a multiple of train.micro_batch {self.micro_batch}")


@dataclass(frozen=True, kw_only=True)
class ScaleConfig(ExecutionConfig):
    """The workers, how they shard the model, and how they run it."""

    workers: Count = 1
    """Number of workers; with ``minimum_workers``, the maximum."""
    minimum_workers: Count | None = None
    """Minimum number of workers to start or continue with while the cluster has no capacity for ``workers``; by default ``workers``."""
    resize_minutes: Minutes = 1.0
    """Minutes that capacity for more workers must last before they join; joining takes a checkpoint and a restart."""
    zero_stage: Annotated[int, Range(at_least=0, at_most=3)] = 2
    """DeepSpeed ZeRO stage."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Precision of parameters and arithmetic. "bf16" keeps fp32 copies of the weights, and saves these; "auto" is bf16 on GPUs and fp32 on
    CPUs. A resumed run keeps its precision."""
    cpus_per_worker: PositiveOrZero = 0.5
    """Logical CPUs that Ray reserves per worker; the remaining CPUs of the cluster read data."""
    use_gpu: bool | None = None
    """Give each worker a GPU; by default if the cluster has GPUs."""
    threads: CountOrZero = 0
    """Torch threads per worker on CPU; 0 divides the cores between the workers of a machine."""
    autoscaling: bool = False
    """The cluster adds nodes on demand: wait for missing resources instead of reporting an error. Set ``use_gpu`` too."""
    max_failures: CountOrZero = 3
    """Maximum number of restarts of the workers from the last checkpoint before the run fails."""
    collective_timeout_minutes: Minutes = 10.0
    """Minutes that a worker waits for the others before all workers are restarted. Must exceed the upload time of a checkpoint, because the
    first worker waits for it; the first step has at least half an hour."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.fewest_workers > self.workers:
            raise ConfigurationError(f"scale.minimum_workers is {self.fewest_workers}: take 1 to scale.workers {self.workers}")

    @property
    def fewest_workers(self) -> int:
        """Minimum number of workers to start with."""
        return self.workers if self.minimum_workers is None else self.minimum_workers

    def layout(self, *, uses_gpu: bool) -> Layout:
        """Return the layout of the training state of workers on GPUs or CPUs."""
        automatic: Precision = "bf16" if uses_gpu else "fp32"
        return Layout(self.zero_stage, automatic if self.precision == "auto" else self.precision)


@dataclass(frozen=True, kw_only=True)
class TrackingConfig(Checked):
    """MLflow."""

    uri: str | None = None
    """MLflow tracking store; by default MLFLOW_TRACKING_URI, else mlflow.db in the storage folder. Credentials in it are not stored: give
    them again to resume, here or in the variable."""
    experiment: str = "medvlp"
    pictures: bool | None = None
    """Log pictures of images; by default only if the manifest says that the corpus is public."""
    parent_run: str | None = None
    """MLflow id of the parent run, as in a sweep."""
    new_run: bool = False
    """If MLflow has deleted the run, or does not know it after a copy to another machine, begin a new one with all points of the run's
    files."""


State = Literal["weights", "full"]


@dataclass(frozen=True, kw_only=True)
class StartConfig(Checked):
    """What a new run starts from; an existing run continues from its own newest checkpoint."""

    start_from: Place | None = None
    """URI of a run, a checkpoint, imported weights (jobs/import_weights.py) or a model folder (jobs/export.py)."""
    start_checkpoint: str = "last"
    """Checkpoint of that run: "last", "best" (see ``train.best_metric``) or a step number."""
    start_state: State = "weights"
    """"weights" loads only the weights; "full" forks a run with optimiser, schedule and position in the samples."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start_from is None and (self.start_checkpoint != "last" or self.start_state != "weights"):
            raise ConfigurationError("start_checkpoint and start_state need another run to start from: name it with --start_from")


@dataclass(frozen=True, kw_only=True)
class RunConfig(StartConfig):
    """The configuration of every training run, whatever its task."""

    name: Name = field(metadata=MAY_CHANGE)
    """Name of the run: the same name with the same configuration resumes it."""
    storage: Place = field(metadata=MAY_CHANGE)
    """URI of the folder with all runs."""
    knowledge: Place = field(metadata=MAY_CHANGE)
    """URI of the knowledge bundle made by jobs/knowledge.py."""
    data: DataConfig
    train: TrainConfig
    task: Task = field(default_factory=Pretraining, metadata=TASK.metadata)
    """The task to train."""
    model: ARLConfig = field(default_factory=ARLConfig)
    scale: ScaleConfig = field(default_factory=ScaleConfig, metadata=MAY_CHANGE)
    tracking: TrackingConfig = field(default_factory=TrackingConfig, metadata=MAY_CHANGE)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.task.check(self.model)
        language = self.model.language
        longest = language.positions - (2 if language.architecture == "roberta" else 0)
        if self.data.maximum_tokens > longest:
            raise ConfigurationError(
                f"data.maximum_tokens {self.data.maximum_tokens} is more than the {longest} tokens that {language.positions} "
                "model.language.positions allow: lower it, or increase the positions"
            )

    def schedule(self, workers: int) -> AccumulationSchedule:
        """Return how ``workers`` workers share the micro-batches of a step."""
        return AccumulationSchedule(self.train.global_batch // self.train.micro_batch, workers)


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(StartConfig):
    """Fine-tune a trained model on a task. All other settings (model, text sizes, tokenizer, knowledge) come from its run."""

    name: Name
    """Name of the run: the same name with the same configuration resumes it."""
    storage: Place
    """URI of the folder with all runs."""
    data: SourceConfig
    train: TrainConfig
    task: Task = field(default_factory=QuestionAnswering, metadata=TASK.metadata)
    """The task to train."""
    knowledge: Place | None = None
    """New URI of the knowledge bundle of the original run, if the bundle was moved."""
    tokenizer: Place | None = None
    """New location of the tokenizer of the original run, if the tokenizer was moved."""
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.start_from is None:
            raise ConfigurationError("fine-tuning starts from a trained model: name its run, checkpoint or folder with --start_from")
