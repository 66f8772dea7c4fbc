"""The group of workers under Ray Train: started together, restarted together, each fed by Ray Data."""

import logging
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import ray
import ray.train
from ray.train import FailureConfig, ScalingConfig
from ray.train import RunConfig as RayRunConfig
from ray.train.torch import TorchConfig, TorchTrainer

from medvlp.errors import TrainingError
from scaleout import storage
from scaleout.train.board import Board, Listener, find_user_error, raise_if_failed
from scaleout.train.config import RunConfig
from scaleout.train.feed import WorkerFeed, start_feed
from scaleout.train.ranks import Ranks
from scaleout.train.run_record import run_folder
from scaleout.train.session import SessionSetup, run_session

Judge = Callable[[dict[str, float], int], bool]
"""Asked by the first worker after every validation, with its metrics and step, whether the run shall go on. Picklable."""


def run_group(setup: SessionSetup, *, use_gpu: bool, judge: Judge | None = None) -> dict[str, float]:
    """Train with ``scale.workers`` workers until the last step; returns the metrics of the last validation.

    Raises:
        MedvlpError: what a worker found that a restart cannot mend.
        TrainingError: the workers failed more often than ``scale.max_failures``.
    """
    config = setup.config
    board: Any = ray.remote(num_cpus=0)(Board).remote()
    dealer = start_feed(config)
    trainer = TorchTrainer(
        partial(_worker, setup, board, dealer, judge),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        scaling_config=ScalingConfig(
            num_workers=config.scale.workers,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": config.scale.cpus_per_worker, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=_ray_run_config(config),
    )
    with Listener(board, logging.getLogger("scaleout.run").info):
        try:
            trainer.fit()
        except Exception as error:
            raise_if_failed(board)
            allowed = config.scale.max_failures
            raise TrainingError(f"the workers failed more often than scale.max_failures {allowed} allows: {error}") from error
    raise_if_failed(board)
    result: dict[str, float] = ray.get(board.result.remote())
    return result


def _ray_run_config(config: RunConfig) -> RayRunConfig:
    """Ray Train keeps only its own small state here; checkpoints are the store's."""
    filesystem, path = storage.arrow_filesystem(run_folder(config))
    return RayRunConfig(
        name="ray",
        storage_path=path,
        storage_filesystem=filesystem,
        failure_config=FailureConfig(max_failures=config.scale.max_failures),
    )


def _worker(setup: SessionSetup, board: Any, dealer: Any, judge: Judge | None, _: dict[str, Any] | None = None) -> None:
    """What Ray Train runs on every worker."""
    if ray.get(board.error.remote()) is not None:
        return  # A restart after an error that it cannot mend: end the run, and the driver raises it.
    context, ranks = ray.train.get_context(), Ranks.current()
    feed = WorkerFeed(setup.config, dealer, ranks.gather(uuid.uuid4().hex)[0], ranks.rank, ranks.workers)
    try:
        result = run_session(
            setup,
            feed.tables,
            ranks,
            workers_on_node=context.get_local_world_size(),
            announce=lambda text: ray.get(board.say.remote(text)),
            go_on=judge if judge and context.get_world_rank() == 0 else lambda metrics, step: True,
        )
    except Exception as error:
        user_error = find_user_error(error)
        if user_error is not None:
            ray.get(board.fail.remote(type(user_error).__name__, str(user_error)))
        raise
    if context.get_world_rank() == 0:
        ray.get(board.finish.remote(result))
