"""The driver of a training run: open the inputs, check, find or create the run, train, and report the outcome."""

import logging
import shutil
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from medvlp.configuration import to_plain
from medvlp.errors import Interrupted
from medvlp.redaction import without_credentials
from medvlp.tasks.registry import task_name
from scaleout.checkpoint.lease import hold
from scaleout.cli import command_began, to_yaml
from scaleout.cluster import connect
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.runs.inputs import Inputs
from scaleout.runs.record import RunRecord, checkpoint_store, create_run, find_own_run, run_folder, update_run
from scaleout.runs.start import find_targets, settle_start
from scaleout.signals import Stopped
from scaleout.tracking import RunStatus, deliver_anew, end_run, import_mlflow, replay, resolve_tracking_uri, start_run
from scaleout.tracking.unreachable import explain, unreachable_errors
from scaleout.train.loop import KeepTraining
from scaleout.train.start_times import StartTimes
from scaleout.train.worker import WorkerSetup, tracking_folder
from scaleout.workers.group import run_group, start_actors
from scaleout.workers.preflight import check_run, cluster_resources

logger = logging.getLogger(__name__)

C = TypeVar("C", bound=RunConfig)


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    checkpoint: str
    """URI of the newest checkpoint."""
    metrics: dict[str, float] = field(default_factory=dict)
    """Metrics of the last validation; empty if the run had finished before."""
    tracking_uri: str = ""
    mlflow_run: str = ""


def launch(config: RunConfig, *, keep_training: KeepTraining | None = None) -> Outcome:
    """Run ``config`` under its name: start it, resume it, or report that it has finished. Only one process at a time can.

    Args:
        config: the run.
        keep_training: may end the run early, as a sweep ends a trial that falls behind.

    Raises:
        Interrupted: the process was stopped by a signal; the same command continues from the checkpoint saved then.
        MedvlpError: an error that the user can fix; earlier output is not lost.
    """
    times = StartTimes(command_began())
    times.end_part("imports")
    tracking_uri = resolve_tracking_uri(config.storage, config.tracking.uri)
    config, inputs = prepare(config)
    times.end_part("inputs")
    threading.Thread(target=import_mlflow).start()  # while Ray starts, which is mostly waiting
    with ExitStack() as stack:
        stack.enter_context(connect())
        times.end_part("Ray")
        use_gpu = check_run(config, inputs, cluster_resources())
        find_own_run(config)
        lease = stack.enter_context(hold(run_folder(config)))  # after the checks: a rejected run leaves nothing behind
        newest = checkpoint_store(config).newest()
        if newest and newest[1].step >= config.train.max_steps:
            record = find_or_create(kind_of(config), config, inputs, tracking_uri)
            logger.info("run %r has finished all %d steps: nothing to do", config.name, config.train.max_steps)
            deliver_rest(config, tracking_uri, record.mlflow_run)
            return Outcome(newest[0], {}, tracking_uri, record.mlflow_run)
        check_layout(config, use_gpu=use_gpu)
        actors = start_actors(config)
        record = find_or_create(kind_of(config), config, inputs, tracking_uri)
        logger.info("resolved configuration:\n%s", to_yaml(config))
        setup = WorkerSetup(
            config=config,
            targets=record.targets,
            tracking_uri=tracking_uri,
            mlflow_run=record.mlflow_run,
            lease=lease,
        )
        times.end_part("checks and record")
        try:
            metrics = run_group(setup, actors, times, use_gpu=use_gpu, keep_training=keep_training)
        except (Interrupted, Stopped):
            _close(tracking_uri, record.mlflow_run, RunStatus.KILLED)
            raise
        except BaseException:
            _close(tracking_uri, record.mlflow_run, RunStatus.FAILED)
            raise
        newest = checkpoint_store(config).newest()
        assert newest is not None, "the last step makes a checkpoint, and so does an early end"
        finished = newest[1].step >= config.train.max_steps
        _close(tracking_uri, record.mlflow_run, RunStatus.FINISHED if finished else RunStatus.KILLED)
    return Outcome(newest[0], metrics, tracking_uri, record.mlflow_run)


def check(config: RunConfig) -> None:
    """Run all checks that ``launch`` runs before it starts workers or writes anything.

    Raises:
        MedvlpError: the run cannot start; the message says what is wrong and what to change.
    """
    config, inputs = prepare(config)
    with connect():
        use_gpu = check_run(config, inputs, cluster_resources())
    record = find_own_run(config)
    if record is not None:
        record.going_on(kind_of(config), config, inputs.fingerprints, run_folder(config))
    check_layout(config, use_gpu=use_gpu)


def prepare(config: C) -> tuple[C, Inputs]:
    """Return the configuration as workers need it and records keep it, with the starting point resolved, and the inputs.

    Raises:
        MedvlpError: the inputs or the starting point are missing, damaged, or do not belong together.
    """
    if config.train.best_metric is not None:
        config.task.check_metric(config.train.best_metric, "train.best_metric", prefix="val/")
    config, point = settle_start(with_absolute_uris(config))
    tracking = replace(config.tracking, uri=config.tracking.uri and without_credentials(config.tracking.uri))
    config = replace(config, tracking=tracking)
    inputs = Inputs.open(config)
    inputs.bundle.entities_of_types(config.train.findings, "train.findings")  # else validation would measure none, and say nothing
    if config.model.language.pretrained:
        from medvlp.model.language import check_tokenizer  # late: the model takes seconds to import

        check_tokenizer(config.model.language, inputs.tokenizer)
    if point is not None:
        point.check_same_world(inputs)
        if config.start_state == "full":
            point.check_fork(config)
    return config, inputs


def kind_of(config: RunConfig) -> str:
    """Return the kind of a run in its record and in MLflow: the name of its task."""
    return task_name(type(config.task))


def check_layout(config: RunConfig, *, use_gpu: bool) -> None:
    """Check that the run does not continue with another ZeRO stage or precision.

    Raises:
        CheckpointError: the run has a checkpoint of another ZeRO stage or precision.
    """
    newest = checkpoint_store(config).newest()
    if newest and newest[1].step < config.train.max_steps:
        newest[1].layout.check_readable_by(config.scale.layout(uses_gpu=use_gpu), newest[0])


def with_absolute_uris(config: C) -> C:
    """Return the configuration with absolute URIs: workers run in other folders than the driver."""
    shards, links, tokenizer = config.data.shards, config.data.links, config.data.tokenizer
    if tokenizer and storage.exists(storage.absolute(tokenizer)):  # otherwise a Hugging Face name
        tokenizer = storage.absolute(tokenizer)
    mixed = [replace(each, shards=storage.absolute(each.shards), links=storage.absolute(each.links)) for each in config.data.mixed_with]
    data = replace(config.data, shards=storage.absolute(shards), links=storage.absolute(links), mixed_with=mixed, tokenizer=tokenizer)
    return replace(config, storage=storage.absolute(config.storage), knowledge=storage.absolute(config.knowledge), data=data)


def find_or_create(kind: str, config: RunConfig, inputs: Inputs, tracking_uri: str) -> RunRecord:
    """Return the record of the run with this name; a new run gets a new MLflow run. The caller holds the lease.

    Raises:
        ConfigurationError: the name is taken by another configuration, or MLflow does not answer.
        CheckpointError: the folder holds the rest of a run.
    """
    folder = run_folder(config)
    known = find_own_run(config)
    tracking = config.tracking
    tags = {"kind": kind, "corpus": inputs.shards.corpus}
    start = partial(start_run, tracking_uri, tracking.experiment, config.name, parent_run_id=tracking.parent_run, tags=tags)
    if known is not None:
        record = known.going_on(kind, config, inputs.fingerprints, folder)
        if record != known:
            logger.info("run %r continues to step %d; the learning rates follow the longer schedule", config.name, config.train.max_steps)
        run_id = start(run_id=record.mlflow_run, replaces_lost=tracking.new_run)
        if run_id != record.mlflow_run:
            _move_curves(tracking_folder(config, record.mlflow_run), tracking_folder(config, run_id))
            record = replace(record, mlflow_run=run_id)
        if record != known:
            update_run(folder, record)
        return record
    targets = find_targets(config)
    run_id = start()
    record = RunRecord(kind=kind, config=to_plain(config), fingerprints=inputs.fingerprints, mlflow_run=run_id, targets=targets)
    create_run(folder, record)
    return record


def _move_curves(old: Path, new: Path) -> None:
    """Prepare to send everything in a run's tracking folder to its new MLflow run; for a remote run, the folder has the id's name."""
    if old != new and old.exists():
        shutil.copytree(old, new)
    deliver_anew(new)


def deliver_rest(config: RunConfig, tracking_uri: str, run_id: str) -> None:
    """Send MLflow the records of a finished run that it missed, from the first worker's folder, if that is on this machine."""
    folder = tracking_folder(config, run_id)
    if not folder.exists():
        return
    try:
        sent = replay(tracking_uri, run_id, folder)
    except unreachable_errors() as error:
        logger.warning("%s; what MLflow missed of the run stays in %s", explain(error, tracking_uri), folder)
    else:
        if sent:
            logger.info("MLflow has the last %d records of the run, which it had missed", sent)


def _close(tracking_uri: str, run_id: str, status: RunStatus) -> None:
    try:
        end_run(tracking_uri, run_id, status)
    except unreachable_errors() as error:
        logger.warning("MLflow did not accept the status %s of the run: %s", status, explain(error, tracking_uri))
