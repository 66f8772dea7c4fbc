"""The groups of workers under Ray Train: started together, ended together, each worker fed by Ray Data."""

import logging
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import ray
import ray.train
from ray.train import ControllerError, FailureConfig, PreemptionError, ScalingConfig
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from medvlp.errors import Interrupted, TrainingError
from scaleout import storage
from scaleout.train.board import Board, Listener, find_user_error, raise_if_failed
from scaleout.train.config import RunConfig, ScaleConfig
from scaleout.train.feed import WorkerFeed, start_feed
from scaleout.train.interruption import Interruption
from scaleout.train.nodes import draining_nodes, spilled_bytes, staying_nodes
from scaleout.train.ranks import Ranks
from scaleout.train.room import room_for, workers_for
from scaleout.train.run_record import run_folder
from scaleout.train.session import SessionSetup, run_session
from scaleout.train.watch import Poll, Supervisor, obeying, termination_asks

Judge = Callable[[dict[str, float], int], bool]
"""Asked by the first worker after every validation, with its metrics and step, whether the run shall go on. Picklable."""

START_SECONDS = 1800
"""A collective waits so long until the first step is done; then ``scale.collective_timeout_minutes``."""

_NO_RETRIES: dict[str, Any] = {"controller_failure_limit": 0, "max_preemption_failures": 0}

logger = logging.getLogger("scaleout.run")


def run_group(setup: SessionSetup, *, use_gpu: bool, judge: Judge | None = None) -> dict[str, float]:
    """Train until the last step, with one group of workers after the other: each lives until it is done, fails, or is stopped
    because nodes go or come, and the next one has as many workers as there is room for. Returns the metrics of the last validation.

    Raises:
        Interrupted: this process was told to end; there is a checkpoint.
        MedvlpError: what a worker found that a restart cannot mend.
        TrainingError: the workers failed more often than ``scale.max_failures``.
    """
    scale = setup.config.scale
    room = partial(_room, scale, use_gpu)
    board, dealer = _open_board(), start_feed(setup.config)
    failures = 0
    with Listener(board, logger.info), termination_asks() as terminated:
        while (result := ray.get(board.result.remote())) is None:
            if terminated.is_set():
                raise Interrupted(f"run {setup.config.name!r} was told to end; the same command goes on from its newest checkpoint")
            workers = workers_for(scale, room())
            if workers < scale.workers:
                logger.info("the cluster has room for %d of %d workers", workers, scale.workers)
            ray.get(board.open.remote())
            trainer = _trainer(setup, board, dealer, judge, workers, use_gpu=use_gpu)
            supervisor = Supervisor(
                scale=scale,
                workers=workers,
                is_terminated=terminated.is_set,
                is_leaving=lambda: not draining_nodes().isdisjoint(ray.get(board.nodes.remote())),
                room=room,
                ask=lambda reason: ray.get(board.ask_to_stop.remote(reason)),
            )
            with Poll(supervisor.look):
                failures += _has_failed(trainer, board, failures, scale.max_failures)
    return result


def _has_failed(trainer: TorchTrainer, board: Any, failures: int, allowed: int) -> bool:
    """Run one group of workers to its end; returns whether that end was a failure, to be counted beside ``failures``.

    Raises: see ``run_group``.
    """
    error: Exception | None = None
    try:
        trainer.fit()
    except (ControllerError, PreemptionError) as not_ours:  # no room yet, or a node was taken: nothing is wrong with the run
        logger.info("the workers start again from the newest checkpoint: %s", str(not_ours).strip().splitlines()[-1])
    except Exception as failure:
        error = failure
    raise_if_failed(board)
    if ray.get(board.stop_reason.remote()):
        error = None  # a group that had nothing to save was ended
    if error is not None and failures == allowed:
        raise TrainingError(f"the workers failed more often than scale.max_failures {allowed} allows: {error}") from error
    if error is not None:
        logger.info("the workers failed, and start again from the newest checkpoint (%d of %d times)", failures + 1, allowed)
    return error is not None


def _open_board() -> Any:
    """On the driver's node: it has to outlive every other."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(num_cpus=0)(Board).options(scheduling_strategy=here).remote()


def _room(scale: ScaleConfig, use_gpu: bool) -> int:
    return room_for(scale, staying_nodes(), use_gpu=use_gpu)


def _trainer(setup: SessionSetup, board: Any, dealer: Any, judge: Judge | None, workers: int, *, use_gpu: bool) -> TorchTrainer:
    """One group of workers, which is not restarted by Ray: the next one may have another size."""
    config = setup.config
    return TorchTrainer(
        partial(_worker, setup, board, dealer, judge),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo", timeout_s=START_SECONDS),
        scaling_config=ScalingConfig(
            num_workers=workers,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": config.scale.cpus_per_worker, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=_ray_run_config(config),
    )


def _ray_run_config(config: RunConfig) -> RayRunConfig:
    """Ray Train keeps only its own small state here; checkpoints are the store's."""
    filesystem, path = storage.arrow_filesystem(run_folder(config))
    return RayRunConfig(
        name="ray",
        storage_path=path,
        storage_filesystem=filesystem,
        failure_config=FailureConfig(max_failures=0, **_NO_RETRIES),
    )


def _worker(setup: SessionSetup, board: Any, dealer: Any, judge: Judge | None, _: dict[str, Any] | None = None) -> None:
    """What Ray Train runs on every worker."""
    if ray.get(board.error.remote()) is not None:
        return  # A restart after an error that it cannot mend: end the run, and the driver raises it.
    context, ranks = ray.train.get_context(), Ranks.current()
    feed = WorkerFeed(setup.config, dealer, ranks.gather(uuid.uuid4().hex)[0], ranks.rank, ranks.workers)
    interruption = Interruption()
    ray.get(board.enter.remote(ray.get_runtime_context().get_node_id()))
    try:
        with obeying(board, interruption, 60 * setup.config.scale.collective_timeout_minutes):
            result = run_session(
                setup,
                feed.tables,
                ranks,
                workers_on_node=context.get_local_world_size(),
                announce=lambda text: ray.get(board.say.remote(text)),
                go_on=judge if judge and context.get_world_rank() == 0 else lambda metrics, step: True,
                interruption=interruption,
                more_metrics=spilled_bytes,
            )
    except Exception as error:
        user_error = find_user_error(error)
        if user_error is not None:
            ray.get(board.fail.remote(type(user_error).__name__, str(user_error)))
        raise
    if context.get_world_rank() == 0 and not interruption.happened:
        ray.get(board.finish.remote(result))
