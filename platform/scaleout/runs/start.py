"""What a new run starts from: another run, one of its checkpoints, imported weights, or a model folder."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from torch import Tensor

from medvlp.data.sample import SAMPLE_COLUMNS, field_values
from medvlp.errors import CheckpointError, ConfigurationError, DataError
from medvlp.interchange.digests import DIGESTS_FILE
from medvlp.interchange.model_folder import (
    CONFIG_FILE,
    KNOWLEDGE_FOLDER,
    WEIGHTS_FILE,
    ModelFolderConfig,
    read_config,
    read_weights_file,
)
from medvlp.interchange.model_folder import TOKENIZER_FOLDER as MODEL_TOKENIZER
from medvlp.interchange.weights_folder import REPORT_FILE, load_imported
from medvlp.model.weights import load_weights
from medvlp.tasks.module import TaskModule
from scaleout.checkpoint.read import read_weights
from scaleout.checkpoint.record import COMPLETE_FILE, CheckpointRecord, read_record
from scaleout.io import storage
from scaleout.io.artefacts import instead
from scaleout.runs.config import CorpusConfig, DataConfig, FinetuneConfig, RunConfig, SourceConfig, StartConfig
from scaleout.runs.inputs import Inputs, check_fingerprints, tokenizer_uri
from scaleout.runs.opened import OpenedRun
from scaleout.runs.record import RUN_FILE, RunRecord, load_run, run_folder
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.sidecar import read_all_samples

S = TypeVar("S", bound=StartConfig)
_ARL = "arl."


@dataclass(frozen=True)
class StartPoint:
    """The source of the initial weights, found on the driver."""

    uri: str
    """URI of a checkpoint, of imported weights, or of a model folder."""
    fingerprints: Mapping[str, str]
    """Fingerprints of the knowledge and the tokenizer that the weights were trained with; empty for imported weights."""
    run: RunConfig | None = None
    model: ModelFolderConfig | None = None
    progress: CheckpointRecord | None = None
    """The record of a checkpoint; None for other start points."""

    @classmethod
    def find(cls, uri: str, checkpoint: str) -> "StartPoint":
        """Find the start point at ``uri``.

        Raises:
            CheckpointError: there is nothing that a run can start from, or no such checkpoint; the message lists the existing ones.
        """
        uri = storage.absolute(uri)
        if any(storage.exists(storage.join(uri, name)) for name in (RUN_FILE, COMPLETE_FILE)):
            run = OpenedRun.open(uri, checkpoint)
            return cls(run.checkpoint, run.record.fingerprints, run=run.config, progress=run.progress)
        if checkpoint != "last":
            raise CheckpointError(f"start_checkpoint {checkpoint!r} needs a run, and there is no run at {uri}")
        if storage.exists(storage.join(uri, REPORT_FILE)):
            return cls(uri, {})
        if storage.exists(storage.join(uri, CONFIG_FILE)):
            model = _read_model_config(uri)
            return cls(uri, model.origin.fingerprints, model=model)
        raise CheckpointError(
            f"there is nothing to start from at {uri}{instead(uri)}: name a run, one of its checkpoints, weights that "
            "jobs/import_weights.py made, or a model folder that jobs/export.py made"
        )

    def check_same_world(self, inputs: Inputs) -> None:
        """Check that the inputs have the tokens and entities that the weights were trained with.

        Raises:
            CheckpointError: they have others.
        """
        if self.fingerprints:
            check_fingerprints(self.fingerprints, inputs.bundle, inputs.tokenizer, self.uri)

    def check_fork(self, config: RunConfig) -> None:
        """Check that the run can continue from the full state.

        Raises:
            ConfigurationError, CheckpointError: there is no such state, or its task, batch or ZeRO stage differs.
        """
        if self.run is None or self.progress is None:
            raise ConfigurationError(f"start_state full needs a run or one of its checkpoints; {self.uri} holds weights only")
        if type(self.run.task) is not type(config.task):
            raise ConfigurationError(f"start_state full needs the same task; {self.uri} was trained on another one")
        if self.run.train.global_batch != config.train.global_batch:
            raise ConfigurationError(
                f"start_state full keeps the position in the samples: "
                f"set train.global_batch to {self.run.train.global_batch}, as in {self.uri}"
            )
        if self.progress.step >= config.train.max_steps:
            raise ConfigurationError(f"{self.uri} has done {self.progress.step} steps: set train.max_steps higher")
        # Only the workers know their precision: they check the rest.
        self.progress.layout.check_readable_by(replace(self.progress.layout, zero_stage=config.scale.zero_stage), self.uri)


def settle_start(config: S) -> tuple[S, StartPoint | None]:
    """Return the configuration with its start point resolved, and that start point; None for a run that starts from new weights.

    An existing run keeps its original start point: the other run may have continued, and the checkpoint may be gone.

    Raises:
        CheckpointError: there is nothing to start from.
    """
    if config.start_from is None:
        return config, None
    begun: RunRecord | None = load_run(storage.join(config.storage, config.name))  # type: ignore[attr-defined]
    wanted = storage.absolute(config.start_from)
    known = begun.config.get("start_from") if begun else None
    if begun is not None and isinstance(known, str) and (known == wanted or known.startswith(f"{wanted}/")):
        kept = replace(config, start_from=known, start_checkpoint=begun.config.get("start_checkpoint", "last"))
        if isinstance(config, RunConfig):  # its weights are no longer needed, so they are not looked up
            return kept, None
        wanted = known if storage.exists(storage.join(known, COMPLETE_FILE)) else wanted
        return kept, StartPoint.find(wanted, "last")
    point = StartPoint.find(config.start_from, config.start_checkpoint)
    return replace(config, start_from=point.uri, start_checkpoint="last"), point


def resolve_finetuning(config: FinetuneConfig) -> RunConfig:
    """Return the whole configuration of a fine-tuning run: model, text sizes, tokenizer and knowledge are those of its start point.

    Raises:
        CheckpointError: there is nothing to start from, or its sizes are not recorded.
    """
    settled, point = settle_start(config)
    assert point is not None, "fine-tuning has a start"
    source = {name: getattr(config.data, name) for name in SourceConfig.__dataclass_fields__}
    if point.run is not None:
        model, data, knowledge = point.run.model, point.run.data, point.run.knowledge
    elif point.model is not None:
        model, knowledge = point.model.model, storage.join(point.uri, KNOWLEDGE_FOLDER)
        data = DataConfig(
            **source,
            tokenizer=storage.join(point.uri, MODEL_TOKENIZER),
            **asdict(point.model.text),
        )
    else:
        raise CheckpointError(f"{point.uri} holds imported weights, which do not record their sizes: use jobs/pretrain.py --task NAME")
    # Only pre-training draws negatives.
    data = replace(data, **source, tokenizer=config.tokenizer or tokenizer_uri(data), negatives="same_modality")
    return RunConfig(
        name=config.name,
        storage=config.storage,
        knowledge=config.knowledge or knowledge,
        data=data,
        train=config.train,
        task=config.task,
        model=model.from_scratch(),
        scale=config.scale,
        tracking=config.tracking,
        start_from=settled.start_from,
        start_state=config.start_state,
    )


def find_targets(config: RunConfig) -> dict[str, Any]:
    """Return what the training samples determine about the module; an existing run keeps its original values.

    Raises:
        DataError: the shards do not suit the task.
    """
    begun = load_run(run_folder(config))
    if begun is not None:
        return dict(begun.targets)
    names = config.task.target_columns
    return config.task.targets(_training_columns((config.data, *config.data.mixed_with), names)) if names else {}


def forked_checkpoint(config: RunConfig) -> tuple[str, CheckpointRecord] | None:
    """Return the checkpoint whose full state a new run continues from; None for most runs."""
    if config.start_from is None or config.start_state != "full":
        return None
    return config.start_from, read_record(config.start_from)


def load_start(module: TaskModule, config: RunConfig) -> str:
    """Load the initial weights of a new run; return a description of their source.

    Every weight of the model must fit. Heads are loaded if they are the same in both tasks; the others keep their initial weights.

    Raises:
        CheckpointError: the weights do not fit; the message lists the first differences.
    """
    uri = config.start_from
    if uri is None:
        return "new weights"
    if storage.exists(storage.join(uri, REPORT_FILE)):
        with storage.local_copy(uri) as folder:
            anew = load_imported(module, folder)
        return f"the weights of {uri}" + (f"; {len(anew)} parameters that it lacks keep their initial weights" if anew else "")
    weights = read_any_weights(uri)
    own = {name.removeprefix(_ARL): value for name, value in weights.items() if name.startswith(_ARL)}
    load_weights(module.arl, own, uri)
    new = [name for name, head in module.named_children() if name != "arl" and not _load_head(name, head, weights)]
    return f"the weights of {uri}" + (f"; new heads: {', '.join(new)}" if new else "")


def _load_head(name: str, head: Any, weights: Mapping[str, Tensor]) -> bool:
    """Load a head if there are weights for all of its parameters."""
    given = {key.removeprefix(f"{name}."): value for key, value in weights.items() if key.startswith(f"{name}.")}
    wanted = {key: parameter.shape for key, parameter in head.named_parameters()}
    if {key: value.shape for key, value in given.items()} != wanted:
        return False
    head.load_state_dict(given, strict=False)  # buffers are constants of the configuration
    return True


def read_any_weights(uri: str) -> dict[str, Tensor]:
    """The weights of a checkpoint or of a model folder, float32, by parameter.

    Raises:
        CheckpointError: they are missing or damaged.
    """
    if not storage.exists(storage.join(uri, CONFIG_FILE)):
        return read_weights(uri)
    with _model_files(uri, WEIGHTS_FILE) as folder:
        return read_weights_file(folder / WEIGHTS_FILE)


def _read_model_config(uri: str) -> ModelFolderConfig:
    with _model_files(uri, CONFIG_FILE) as folder:
        return read_config(folder)


@contextmanager
def _model_files(uri: str, name: str) -> Iterator[Path]:
    """Yield a local folder with one file of a model folder and the digests, if it has any."""
    if not storage.is_remote(uri):
        yield Path(uri)
        return
    with TemporaryDirectory(prefix="medvlp-model-") as temporary:
        digests = [DIGESTS_FILE] if storage.exists(storage.join(uri, DIGESTS_FILE)) else []
        storage.download_files(uri, [name, *digests], Path(temporary))
        yield Path(temporary)


def _training_columns(corpora: Iterable[CorpusConfig], names: tuple[str, ...]) -> Iterator[dict[str, list[Any]]]:
    """Yield fields of all training samples, with a few shards in memory at a time; no image is read."""
    missing = [name for name in names if name not in SAMPLE_COLUMNS]
    if missing:
        raise DataError(f"samples have no column {', '.join(missing)}; they have {', '.join(SAMPLE_COLUMNS)}")
    for corpus in corpora:
        folder = storage.absolute(corpus.shards)
        for table in read_all_samples(folder, ShardManifest.load(folder).shards_of("train"), names):
            yield {name: field_values(name, table.column(name).to_pylist()) for name in names}
