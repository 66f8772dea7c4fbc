"""One worker's part of a run, from its configuration to the last step. It uses Ray only through its arguments."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from medvlp.configuration import to_plain
from medvlp.cost import FlopCount
from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.model.execution import configure_execution
from medvlp.optimisation import build_optimiser, freeze_unreached, learning_rate_factor, parameter_groups
from medvlp.tasks.base import TaskContext
from medvlp.tasks.module import TaskModule
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.read import load_training_state
from scaleout.checkpoint.record import others_named
from scaleout.checkpoint.store import SetAsideError
from scaleout.engine.base import Engine, EngineConfig
from scaleout.engine.build_lock import survivable_builds
from scaleout.engine.process_group import ProcessGroup
from scaleout.engine.zero import DeepSpeedEngine
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.runs.inputs import Inputs, evaluation_split, task_context
from scaleout.runs.record import checkpoint_store, run_folder
from scaleout.runs.start import forked_checkpoint, load_start
from scaleout.stream.batches import BatchStream, MicroBatches, RepeatedBatch, StartedBatches, cores_of_worker
from scaleout.stream.local import EvaluationBatches
from scaleout.tracking import CompositeTracker, MlflowTracker, RunStatus
from scaleout.train.evaluation import Evaluator
from scaleout.train.hooks.ledger import open_ledger
from scaleout.train.loop import KeepTraining, Loop, Progress, keep_going
from scaleout.train.start_times import StartTimes
from scaleout.train.stop_request import StopRequest


@dataclass(frozen=True, kw_only=True)
class WorkerSetup:
    """Decisions that the driver makes once and sends to every worker."""

    config: RunConfig
    targets: Mapping[str, Any] = field(default_factory=dict)
    """See ``Task.targets``."""
    tracking_uri: str
    mlflow_run: str
    lease: Lease | None = None
    """Lease of the driver; None if no other process can start the run."""


def run_worker(
    setup: WorkerSetup,
    tables: Callable[[int], Iterator[pa.Table]],
    processes: ProcessGroup,
    *,
    times: StartTimes | None = None,
    workers_on_node: int = 1,
    announce: Callable[[str], None] = print,
    keep_training: KeepTraining = keep_going,
    stop_request: StopRequest | None = None,
    more_metrics: Callable[[], dict[str, float]] = dict,
) -> dict[str, float]:
    """Train to the last step, from the newest complete checkpoint if there is one; return the metrics of the last validation.

    Args:
        setup: the decisions of the driver.
        tables: this worker's micro-batches as Arrow tables, from a given global position on.
        processes: all workers.
        times: times of this start so far.
        workers_on_node: workers that share this machine's cores.
        announce: shows the user a line; called by the first worker only, except while it waits.
        keep_training: see ``Loop``.
        stop_request: see ``Loop``.
        more_metrics: see ``Loop``.
    """
    config = setup.config
    threads = config.scale.threads or cores_of_worker(workers_on_node)
    decoders = config.data.decoders(threads, uses_gpu=processes.uses_gpu)
    torch.set_num_threads(threads)
    inputs = Inputs.open(config)
    context = task_context(config, inputs.tokenizer, inputs.bundle, setup.targets)
    torch.manual_seed(keyed_seed(config.train.seed, Purpose.MODEL, "initial weights"))
    module = config.task.build(context)
    store = checkpoint_store(config, setup.lease)
    own = store.newest()
    newest = own or forked_checkpoint(config)
    progress, start = (Progress.of(newest[1]), newest[1].position) if newest else (Progress(), 0)
    # Reading starts processes and reads a whole window first: both happen while the engine starts.
    stream = StartedBatches(build_stream(config, context, partial(tables, start), start, processes, decoders))
    origin = "" if newest else load_start(module, config)
    # The peak of a CPU is unknown, so there is nothing to compare operations with, and counting them takes seconds.
    cost = prepare_module(config, context, module, counts_flops=processes.uses_gpu)
    # After the counting: recomputed work does not count, and the synthetic batch must not trigger compilation.
    configure_execution(module, config.scale)
    schedule = config.schedule(processes.workers)
    resharded = newest is not None and newest[1].is_resharded_for(processes.workers)
    with survivable_builds(announce):
        engine = build_engine(config, module, schedule.accumulation, processes, resharded=resharded)
    if own is not None:
        try:
            store.resume(engine, *own, processes)
        except SetAsideError as error:
            if processes.is_first:
                announce(str(error))
            raise
    elif newest is not None:
        with others_named(newest[0]):
            load_training_state(engine, *newest, processes)
    if processes.is_first:
        announce(cost.describe(config))
        if schedule.idle:
            shared = f"{schedule.workers} workers share {schedule.micro_batches} micro-batches"
            announce(f"{shared}: {schedule.idle} micro-steps of a step are idle")
        if config.data.synthetic:
            announce("data.synthetic: trains on random numbers, to measure the speed without reading; the trained weights are meaningless")
        if newest is None:
            announce(f"starts from the first sample, with {origin}")
        else:
            announce(f"continues from step {progress.step}, sample {start}" + ("" if own else f", of {newest[0]}"))
    if times is not None:
        times.end_part("model and engine")
    tracker = build_tracker(setup) if processes.is_first else CompositeTracker()
    tracker.params(to_plain(config))
    loop = Loop(
        config=config,
        engine=engine,
        stream=stream,
        validation=build_validation(config, context, inputs, processes, decoders),
        store=store,
        tracker=tracker,
        processes=processes,
        fingerprints=inputs.fingerprints,
        announce=announce,
        flops_per_sample=cost.flops.per_sample if cost.flops else None,
        keep_training=keep_training,
        stop_request=stop_request or StopRequest(),
        ledger=open_ledger(config, processes),
        more_metrics=more_metrics,
        times=times,
    )
    return _run_tracked(loop, progress)


def _run_tracked(loop: Loop, progress: Progress) -> dict[str, float]:
    """Run the loop. In all cases, the tracker delivers its records before this process ends."""
    status = RunStatus.FAILED
    try:
        metrics = loop.run(progress)
        status = RunStatus.FINISHED if progress.step == loop.config.train.max_steps else RunStatus.KILLED
    finally:
        loop.tracker.finish(status)
    return metrics


@dataclass(frozen=True)
class Cost:
    """Parameters of a module and operations of a sample."""

    parameters: int
    frozen: int
    flops: FlopCount | None

    def describe(self, config: RunConfig) -> str:
        """Return one sentence for the user."""
        samples = config.train.max_steps * config.train.global_batch
        text = f"model of {self.parameters / 1e6:.2f} M parameters ({self.frozen / 1e6:.2f} M of them reached by no objective and frozen)"
        if self.flops is None:
            return f"{text}; {samples:,} samples"
        flops = self.flops.per_sample(config.data.maximum_tokens)
        return f"{text}; {flops / 1e9:.2f} GFLOP a sample of full width, {samples:,} samples: at most {samples * flops / 1e15:.3g} PFLOP"


def prepare_module(config: RunConfig, context: TaskContext, module: TaskModule, *, counts_flops: bool, size: int = 2) -> Cost:
    """Freeze the parameters that no objective reaches, found in one forward and backward on random numbers; return the cost of the rest."""
    with torch.random.fork_rng():
        frozen = freeze_unreached(module, module(config.task.synthetic_batch(context, size)).loss)
    sizes = {name: parameter.numel() for name, parameter in module.named_parameters()}
    flops = FlopCount(config.task, context, micro_batch=config.train.micro_batch, frozen=frozenset(frozen)) if counts_flops else None
    return Cost(sum(sizes.values()), sum(sizes[name] for name in frozen), flops)


def build_engine(config: RunConfig, module: TaskModule, accumulation: int, processes: ProcessGroup, *, resharded: bool = False) -> Engine:
    """Return DeepSpeed with the optimiser and schedule of the configuration; for the rest see ``EngineConfig``."""
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)
    train, layout = config.train, config.scale.layout(uses_gpu=processes.uses_gpu)
    multiplier = config.task.knowledge_multiplier(train.optimiser)
    groups = parameter_groups(module, module.arl, train.optimiser, knowledge_multiplier=multiplier)
    settings = EngineConfig(
        micro_batch=train.micro_batch,
        accumulation=accumulation,
        clip_norm=train.optimiser.clip_norm,
        zero_stage=layout.zero_stage,
        bf16=layout.precision == "bf16",
        learning_rate_factor=partial(learning_rate_factor, total=train.max_steps, warmup=train.optimiser.warmup),
        resharded=resharded,
    )
    return DeepSpeedEngine(module, build_optimiser(groups, train.optimiser), settings)


def build_stream(
    config: RunConfig, context: TaskContext, tables: Callable[[], Iterator[pa.Table]], start: int, processes: ProcessGroup, decoders: int
) -> MicroBatches:
    """Return one worker's micro-batches from the global position ``start`` on, made from ``tables``."""
    size = config.train.micro_batch
    first = start // size + processes.rank
    if config.data.synthetic:
        return RepeatedBatch(batch=config.task.synthetic_batch(context, size), first=first, stride=processes.workers)
    return BatchStream(
        tables=tables,
        collate=config.task.collate(context, augment=True),
        micro_batch=size,
        first=first,
        stride=processes.workers,
        processes=decoders,
        ahead=config.data.ahead,
    )


def build_validation(config: RunConfig, context: TaskContext, inputs: Inputs, processes: ProcessGroup, decoders: int = 1) -> Evaluator:
    """Return the evaluator of the validation split, with pictures if they may be shown."""
    allowed = config.tracking.pictures
    return Evaluator(
        task=config.task,
        context=context,
        batches=EvaluationBatches(
            split=evaluation_split(config, inputs, "validation"),
            collate=config.task.collate(context, augment=False),
            micro_batch=config.train.micro_batch,
            samples=config.train.validation_samples,
            rank=processes.rank,
            workers=processes.workers,
            processes=decoders,
            ahead=config.data.ahead,
        ),
        draws_pictures=inputs.shards.public if allowed is None else allowed,
        seed=config.train.seed,
    )


def build_tracker(setup: WorkerSetup) -> CompositeTracker:
    """Return the tracker of a run: files in its folder, and MLflow, which shows them."""
    folder = tracking_folder(setup.config, setup.mlflow_run)
    return CompositeTracker([MlflowTracker(setup.tracking_uri, setup.mlflow_run, folder)])


def tracking_folder(config: RunConfig, mlflow_run: str) -> Path:
    """Return the folder of the curves: the run's folder or, if that is remote, a local one that a restart on this machine finds."""
    folder = run_folder(config)
    return Path(tempfile.gettempdir()) / f"medvlp-{mlflow_run}" if storage.is_remote(folder) else Path(folder)
