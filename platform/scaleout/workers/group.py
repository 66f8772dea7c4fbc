"""The worker groups under Ray Train: workers start together, end together, and get their data from Ray Data."""

import logging
import os
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

import ray
import ray.train
from ray.exceptions import RayError
from ray.train import ControllerError, FailureConfig, PreemptionError, ScalingConfig, TrainingFailedError
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchConfig
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from medvlp.errors import Interrupted, TrainingError
from medvlp.redaction import redact_output
from scaleout.compat.ray_internals import start_autoscaling_coordinator
from scaleout.compat.ray_train_internals import DatalessTrainer
from scaleout.engine.process_group import ProcessGroup
from scaleout.environment import move_caches
from scaleout.io import storage
from scaleout.runs.config import RunConfig, ScaleConfig
from scaleout.runs.record import run_folder
from scaleout.train.loop import KeepTraining, keep_going
from scaleout.train.start_times import StartTimes
from scaleout.train.stop_request import StopRequest
from scaleout.train.worker import WorkerSetup, run_worker
from scaleout.workers.capacity import capacity_for, workers_for
from scaleout.workers.channel import Channel, ChannelPrinter, find_user_error, raise_if_failed
from scaleout.workers.feed import WorkerFeed, start_feed
from scaleout.workers.nodes import draining_nodes, spilled_bytes, staying_nodes
from scaleout.workers.preemption import Poll, Supervisor, catch_termination, follow_stop_requests

START_SECONDS = 1800
"""Timeout of a collective until the first step is done; then it is ``scale.collective_timeout_minutes``."""

_RAY_TRAIN = {
    # Interval of its check whether the workers have ended; with the default of 2 s, a run would end seconds later than necessary.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    # An actor for each group that watches for preempted nodes: ``Supervisor`` does that.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
}
"""Environment variables of Ray Train; existing values are kept."""

_NO_RETRIES: dict[str, Any] = {"controller_failure_limit": 0, "max_preemption_failures": 0}

logger = logging.getLogger("scaleout.run")


@dataclass(frozen=True)
class RunActors:
    """Actors of a run that outlive its groups of workers."""

    channel: Any
    """See ``Channel``."""
    server: Any
    """See ``SegmentServer``."""


def start_actors(config: RunConfig) -> RunActors:
    """Start the actors of a run without waiting for them: their processes start while the driver continues."""
    for name, value in _RAY_TRAIN.items():
        os.environ.setdefault(name, value)
    start_autoscaling_coordinator()
    return RunActors(_open_channel(), start_feed(config))


def run_group(
    setup: WorkerSetup, actors: RunActors, times: StartTimes, *, use_gpu: bool, keep_training: KeepTraining | None = None
) -> dict[str, float]:
    """Train until the last step, with one group of workers after another; return the metrics of the last validation.

    A group runs until it is done, fails, or is stopped because nodes leave or join. The next one has as many workers as fit.

    Raises:
        Interrupted: this process was asked to stop; there is a checkpoint.
        MedvlpError: an error in a worker that a restart cannot fix.
        TrainingError: the workers failed more often than ``scale.max_failures``.
    """
    scale = setup.config.scale
    capacity = partial(_capacity, scale, use_gpu)
    channel = actors.channel
    failures = 0
    with ChannelPrinter(channel, logger.info), catch_termination() as terminated:
        while (result := ray.get(channel.result.remote())) is None:
            if terminated.is_set():
                raise Interrupted(f"run {setup.config.name!r} was asked to stop; the same command continues from its newest checkpoint")
            workers = workers_for(scale, capacity())
            if workers < scale.workers:
                logger.info("the cluster has capacity for %d of %d workers", workers, scale.workers)
            ray.get(channel.open.remote())
            trainer = _trainer(setup, times, actors, keep_training, workers, use_gpu=use_gpu)
            supervisor = Supervisor(
                scale=scale,
                workers=workers,
                is_terminated=terminated.is_set,
                is_leaving=lambda: not draining_nodes().isdisjoint(ray.get(channel.nodes.remote())),
                capacity=capacity,
                ask=lambda reason: ray.get(channel.ask_to_stop.remote(reason)),
            )
            with Poll(supervisor.look):
                failures += _has_failed(trainer, channel, failures, scale.max_failures)
            times = StartTimes()
    return result


def _has_failed(trainer: DatalessTrainer, channel: Any, failures: int, allowed: int) -> bool:
    """Run one group of workers to its end; return whether it failed. ``failures`` is the number of earlier failures.

    Raises: see ``run_group``.
    """
    error: Exception | None = None
    try:
        trainer.fit()
    except (ControllerError, PreemptionError) as not_ours:  # no capacity yet, or a preempted node: nothing is wrong with the run
        logger.info("the workers start again from the newest checkpoint: %s", str(not_ours).strip().splitlines()[-1])
    except (TrainingFailedError, RayError) as failure:
        error = failure
    raise_if_failed(channel)
    if ray.get(channel.stop_reason.remote()):
        error = None  # the group had nothing to save and was ended on request
    if error is not None and failures == allowed:
        raise TrainingError(f"the workers failed more often than scale.max_failures {allowed} allows: {error}") from error
    if error is not None:
        logger.info("the workers failed, and start again from the newest checkpoint (%d of %d times)", failures + 1, allowed)
    return error is not None


def _open_channel() -> Any:
    """Open the channel on the driver's node: it must outlive all others."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0)(Channel).options(scheduling_strategy=here).remote()


def _capacity(scale: ScaleConfig, use_gpu: bool) -> int:
    return capacity_for(scale, staying_nodes(), use_gpu=use_gpu)


def _trainer(
    setup: WorkerSetup,
    times: StartTimes,
    actors: RunActors,
    keep_training: KeepTraining | None,
    workers: int,
    *,
    use_gpu: bool,
) -> DatalessTrainer:
    """Return the trainer of one group of workers. Ray does not restart it: the next group may have another size."""
    config = setup.config
    return DatalessTrainer(
        partial(_worker, setup, times, actors, keep_training),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo", timeout_s=START_SECONDS),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": config.scale.cpus_per_worker, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=_ray_run_config(config),
    )


def _ray_run_config(config: RunConfig) -> RayRunConfig:
    """Return the configuration of Ray Train, with the location of its own small state; the store writes the checkpoints."""
    filesystem, path = storage.arrow_filesystem(run_folder(config))
    return RayRunConfig(
        name="ray",
        storage_path=path,
        storage_filesystem=filesystem,
        failure_config=FailureConfig(max_failures=0, **_NO_RETRIES),
    )


def _worker(
    setup: WorkerSetup,
    times: StartTimes,
    actors: RunActors,
    keep_training: KeepTraining | None,
    _: dict[str, Any] | None = None,
) -> None:
    """Run one worker; Ray Train calls this on each."""
    redact_output()
    times.end_part("workers")
    move_caches()
    channel = actors.channel
    if ray.get(channel.error.remote()) is not None:
        return  # A restart after an error that a restart cannot fix: end the run; the driver raises the error.
    context, processes = ray.train.get_context(), ProcessGroup.current()
    feed = WorkerFeed(setup.config, actors.server, processes.gather(uuid.uuid4().hex)[0], processes.rank, processes.workers)
    stop_request = StopRequest()
    ray.get(channel.enter.remote(ray.get_runtime_context().get_node_id()))
    try:
        with follow_stop_requests(channel, stop_request, 60 * setup.config.scale.collective_timeout_minutes):
            result = run_worker(
                setup,
                feed.tables,
                processes,
                times=times,
                workers_on_node=context.get_local_world_size(),
                announce=lambda text: ray.get(channel.say.remote(text)),
                keep_training=keep_training if keep_training and context.get_world_rank() == 0 else keep_going,
                stop_request=stop_request,
                more_metrics=spilled_bytes,
            )
    except Exception as error:
        user_error = find_user_error(error)
        if user_error is None:
            raise
        ray.get(channel.fail.remote(type(user_error).__name__, str(user_error)))
        raise user_error from None  # Ray writes the causes to files, and those of other libraries may contain a password
    if context.get_world_rank() == 0 and not stop_request.happened:
        ray.get(channel.finish.remote(result))
