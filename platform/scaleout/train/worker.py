"""One worker's part of a run, from its configuration to the last step. Ray comes in only through what is passed."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import torch

from medvlp.cost import total
from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.model.execution import configure_execution
from medvlp.optimisation import build_optimiser, freeze_unreached, learning_rate_factor, parameter_groups
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.store import SetAsideError
from scaleout.cli import to_dict
from scaleout.engine.base import Engine, EngineConfig
from scaleout.engine.process_group import ProcessGroup
from scaleout.engine.zero import DeepSpeedEngine
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.runs.inputs import Inputs, open_tokenizer, validation_split
from scaleout.runs.record import checkpoint_store, open_ledger, run_folder
from scaleout.stream.batches import BatchStream, MicroBatches, RepeatedBatch, StartedBatches, decode_threads
from scaleout.stream.local import validation_batches
from scaleout.tracking import CompositeTracker, JsonLinesTracker, MlflowTracker, RunStatus
from scaleout.train.assembly import Assemble, Assembly
from scaleout.train.evaluation import Validation
from scaleout.train.loop import Loop, Progress
from scaleout.train.stop_request import StopRequest

SPOOL_FOLDER = "mlflow-spool"
"""What is on its way to MLflow."""


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """What the driver decides once and sends to every worker."""

    config: RunConfig
    assemble: Assemble
    tracking_uri: str
    mlflow_run: str
    lease: Lease | None = None
    """The driver's; without one nobody else can start the run."""


def run_worker(
    setup: WorkerSetup,
    tables: Callable[[int], Iterator[pa.Table]],
    processes: ProcessGroup,
    *,
    workers_on_node: int = 1,
    announce: Callable[[str], None] = print,
    keep_training: Callable[[dict[str, float], int], bool] = lambda metrics, step: True,
    stop_request: StopRequest | None = None,
    more_metrics: Callable[[], dict[str, float]] = dict,
) -> dict[str, float]:
    """Train to the last step, from the newest complete checkpoint if there is one; returns the last validation's metrics.

    Args:
        tables: this worker's micro-batches as Arrow tables, from a given global position on.
        keep_training: see ``Loop``.
        interruption, more_metrics: see ``Loop``.
    """
    config = setup.config
    threads = config.scale.threads or decode_threads(workers_on_node)
    torch.set_num_threads(threads)
    inputs = Inputs.open(config)
    torch.manual_seed(keyed_seed(config.train.seed, Purpose.MODEL, "initial weights"))
    assembly = setup.assemble(config, open_tokenizer(config.data), inputs.bundle)
    store = checkpoint_store(config, setup.lease)
    newest = store.newest()
    progress, start = (Progress.of(newest[1]), newest[1].position) if newest else (Progress(), 0)
    # Reading starts processes and takes a whole window: they come up while the engine does.
    stream = StartedBatches(build_stream(assembly, config, partial(tables, start), start, processes, threads))
    origin = assembly.start() if newest is None else ""
    cost = prepare_task(assembly)
    # After the counting: recomputed work teaches nothing and is not counted, and numbers drawn for it compile nothing.
    configure_execution(assembly.task, config.scale)
    resharded = newest is not None and newest[1].is_resharded_for(processes.workers)
    schedule = config.schedule(processes.workers)
    engine = build_engine(assembly, config, schedule.accumulation, processes, resharded=resharded)
    if newest is not None:
        try:
            store.resume(engine, *newest, processes)
        except SetAsideError as error:
            if processes.is_first:
                announce(str(error))
            raise
    if processes.is_first:
        announce(cost.describe(config))
        if schedule.idle:
            announce(
                f"{schedule.workers} workers share {schedule.micro_batches} micro-batches: {schedule.idle} micro-steps of a step are idle"
            )
        if config.data.synthetic:
            announce("data.synthetic: trains on random numbers, to show the speed without reading; what it learns means nothing")
        announce(f"continues from step {progress.step}, sample {start}" if newest else f"starts from the first sample, with {origin}")
    tracker = build_tracker(setup) if processes.is_first else CompositeTracker()
    tracker.params(to_dict(config))
    loop = Loop(
        config=config,
        engine=engine,
        stream=stream,
        validation=build_validation(assembly, config, inputs, processes),
        store=store,
        tracker=tracker,
        processes=processes,
        fingerprints=inputs.fingerprints,
        announce=announce,
        flops_per_sample=cost.flops_per_sample,
        keep_training=keep_training,
        stop_request=stop_request or StopRequest(),
        ledger=open_ledger(config, processes),
        more_metrics=more_metrics,
    )
    return _run_tracked(loop, progress)


def _run_tracked(loop: Loop, progress: Progress) -> dict[str, float]:
    """Run the loop, and let the tracker deliver what it holds before this process ends, however it ends."""
    status = RunStatus.FAILED
    try:
        metrics = loop.run(progress)
        status = RunStatus.FINISHED if progress.step == loop.config.train.max_steps else RunStatus.KILLED
    finally:
        loop.tracker.finish(status)
    return metrics


@dataclass(frozen=True)
class Cost:
    """What the task costs."""

    parameters: int
    frozen: int
    flops_per_sample: Callable[[int], float]
    """Forward and backward, of a sample whose text is padded to the given width."""

    def describe(self, config: RunConfig) -> str:
        """One sentence for the user."""
        samples = config.train.max_steps * config.train.global_batch
        flops = self.flops_per_sample(config.data.maximum_tokens)
        return (
            f"model of {self.parameters / 1e6:.2f} M parameters ({self.frozen / 1e6:.2f} M of them reached by no objective and frozen); "
            f"{flops / 1e9:.2f} GFLOP a sample of full width, {samples:,} samples: at most {samples * flops / 1e15:.3g} PFLOP"
        )


def prepare_task(assembly: Assembly, size: int = 2) -> Cost:
    """Freeze what no objective reaches, found in one forward and backward on random numbers; returns what the rest costs."""
    with torch.random.fork_rng():
        loss = assembly.task(assembly.sample_batch(size)).loss
        freeze_unreached(assembly.task, loss)
    frozen = sum(parameter.numel() for parameter in assembly.task.parameters() if not parameter.requires_grad)
    parameters = sum(parameter.numel() for parameter in assembly.task.parameters())
    return Cost(parameters, frozen, lambda width: total(assembly.flops(width).values()).total)


def build_engine(assembly: Assembly, config: RunConfig, accumulation: int, processes: ProcessGroup, *, resharded: bool = False) -> Engine:
    """DeepSpeed with the optimiser and schedule of the configuration; for the rest see ``EngineConfig``."""
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    train, layout = config.train, config.scale.layout(uses_gpu=processes.uses_gpu)
    groups = parameter_groups(assembly.task, assembly.arl, train.optimiser, knowledge_multiplier=assembly.knowledge_multiplier)
    settings = EngineConfig(
        micro_batch=train.micro_batch,
        accumulation=accumulation,
        clip_norm=train.optimiser.clip_norm,
        zero_stage=layout.zero_stage,
        bf16=layout.precision == "bf16",
        learning_rate_factor=partial(learning_rate_factor, total=train.max_steps, warmup=train.optimiser.warmup),
        resharded=resharded,
    )
    return DeepSpeedEngine(assembly.task, build_optimiser(groups, train.optimiser), settings)


def build_stream(
    assembly: Assembly, config: RunConfig, tables: Callable[[], Iterator[pa.Table]], start: int, processes: ProcessGroup, threads: int
) -> MicroBatches:
    """One worker's micro-batches from the global position ``start`` on, made of ``tables``."""
    size = config.train.micro_batch
    first = start // size + processes.rank
    if config.data.synthetic:
        return RepeatedBatch(batch=assembly.sample_batch(size), first=first, stride=processes.workers)
    return BatchStream(
        tables=tables,
        collate=assembly.train_collate,
        micro_batch=size,
        first=first,
        stride=processes.workers,
        threads=threads,
        ahead=config.data.ahead,
    )


def build_validation(assembly: Assembly, config: RunConfig, inputs: Inputs, processes: ProcessGroup) -> Validation:
    """Validation on the validation split, with pictures where they may be shown."""
    allowed = config.tracking.pictures
    shown = inputs.shards.public if allowed is None else allowed
    return Validation(
        batches=partial(
            validation_batches,
            validation_split(config, inputs),
            assembly.validation_collate,
            config.train.micro_batch,
            config.train.validation_samples,
            rank=processes.rank,
            workers=processes.workers,
        ),
        evaluate=assembly.evaluate,
        summarise=assembly.summarise,
        pictures=assembly.pictures if shown else None,
        seed=config.train.seed,
    )


def build_tracker(setup: WorkerSetup) -> CompositeTracker:
    """JSON lines and MLflow."""
    local = tracking_folder(setup.config, setup.mlflow_run)
    local.mkdir(parents=True, exist_ok=True)
    return CompositeTracker([JsonLinesTracker(local), MlflowTracker(setup.tracking_uri, setup.mlflow_run, spool=local / SPOOL_FOLDER)])


def tracking_folder(config: RunConfig, mlflow_run: str) -> Path:
    """Where curves are kept: the run's folder or, if that is remote, where a restart on the same machine finds them."""
    folder = run_folder(config)
    return Path(tempfile.gettempdir()) / f"medvlp-{mlflow_run}" if storage.is_remote(folder) else Path(folder)
