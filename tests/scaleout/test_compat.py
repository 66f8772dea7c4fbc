"""Canaries: every private part of a library that this project uses still does what it is used for.

A failure here means that the library changed. Mend the file in ``scaleout/compat`` that is named, nothing else.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
import ray.data
import torch
import torch.distributed as dist
from jsonargparse import ArgumentParser
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import DatasetsCallback
from ray.train.v2._internal.execution.scaling_policy.autoscaling_coordinator_client import TrainAutoscalingCoordinatorClient
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from torch import multiprocessing, nn

from scaleout.compat import ray_internals
from scaleout.compat.jsonargparse_internals import destinations, option_types
from scaleout.compat.ray_internals import draining_nodes, pause_between_steps, spilled_bytes, start_autoscaling_coordinator
from scaleout.compat.ray_train_internals import DatalessTrainer
from scaleout.compat.torch_internals import set_collective_timeout, wrap_forward_hooks
from scaleout.engine.base import EngineConfig
from scaleout.engine.zero import DeepSpeedEngine
from tests.scaleout.engine.zero_workers import join


def test_torch_changes_the_timeout_of_every_process_group(tmp_path: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/rendezvous", rank=0, world_size=1)
    try:
        groups = [dist.group.WORLD, dist.new_group([0])]
        set_collective_timeout(7.0)
        limits = [group._get_backend(torch.device("cpu")).options._timeout for group in groups]
    finally:
        dist.destroy_process_group()
    assert limits == [timedelta(seconds=7)] * 2, "torch changed how it lists process groups, or how it sets their timeouts"


def test_torch_keeps_forward_hooks_where_they_can_be_replaced() -> None:
    module, calls = nn.Linear(1, 1), []

    def wrap(hook: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            calls.append(hook)
            return hook(*arguments)

        return counted

    hooks = [lambda module, inputs: None, lambda module, inputs, output: output + 1]
    module.register_forward_pre_hook(hooks[0])
    module.register_forward_hook(hooks[1])
    before = module(torch.ones(1, 1))
    wrap_forward_hooks(module, wrap)
    assert torch.equal(module(torch.ones(1, 1)), before)
    assert calls == hooks, "torch changed where a module keeps its forward hooks"


def step_in_bf16(rank: int, folder: str) -> None:
    """One worker that makes one step without ZeRO, by less than bf16 can hold."""
    processes = join(rank, 1, Path(folder, "rendezvous"))
    task = nn.Linear(1, 1, bias=False)
    nn.init.ones_(task.weight)
    optimiser = torch.optim.SGD([{"name": "heads", "params": list(task.parameters()), "lr": 2.0**-12}])
    engine = DeepSpeedEngine(task, optimiser, EngineConfig(1, 1, 0.0, 0, True, lambda step: 1.0))
    engine.backward(engine._engine(torch.ones(1, 1, dtype=torch.bfloat16)).sum())
    engine.step()
    torch.save({"weight": task.weight.item(), "master": engine.weights()["weight"].item()}, Path(folder, "seen.pt"))
    processes.barrier()
    dist.destroy_process_group()


def test_deepspeed_without_zero_pairs_parameters_with_fp32_masters(tmp_path: Path) -> None:
    multiprocessing.spawn(step_in_bf16, (str(tmp_path),), nprocs=1)
    expected = {"weight": 1.0, "master": 1 - 2.0**-12}
    assert torch.load(tmp_path / "seen.pt") == expected, "DeepSpeed changed where its optimiser without ZeRO keeps fp32 weights"


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_ray_names_nodes_that_drain() -> None:
    assert draining_nodes() == set(), "Ray changed how its state lists the nodes that drain"


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_ray_counts_what_it_spilled() -> None:
    assert spilled_bytes() >= 0, "Ray changed what it says of its object stores"


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_ray_data_calls_back_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(ray_internals, "time", SimpleNamespace(sleep=rests.append))
    dataset = ray.data.range(4)
    pause_between_steps(dataset.context)
    assert dataset.count() == dataset.materialize().count() == 4
    assert set(rests) == {ray_internals.PAUSE_SECONDS}, "Ray Data no longer calls the callbacks of a dataset's context"


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_ray_train_finds_the_coordinator_that_was_started_for_it() -> None:
    start_autoscaling_coordinator()
    first = TrainAutoscalingCoordinatorClient("ours")._autoscaling_coordinator
    second = TrainAutoscalingCoordinatorClient("another")._autoscaling_coordinator
    assert first == second == ray.get_actor("AutoscalingCoordinator", "AutoscalingCoordinator"), "Ray Train asks another actor"


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_ray_train_hands_out_datasets_by_a_callback_that_can_be_left_out() -> None:
    trainers = TorchTrainer(print), DatalessTrainer(print)
    default, ours = ([type(callback) for callback in trainer._create_default_callbacks()] for trainer in trainers)
    assert ours == [kind for kind in default if kind is not DatasetsCallback]
    assert len(ours) == len(default) - 1, "Ray Train hands out datasets otherwise"


@pytest.fixture
def parser() -> ArgumentParser:
    """One option of every kind that the command line treats in its own way."""
    parser = ArgumentParser()
    parser.add_argument("--flag", type=bool, default=False)
    parser.add_argument("--names", type=list[str], default=[])
    parser.add_argument("--data.rows", type=int, default=1)
    parser.add_argument("--debug", action="store_true")
    return parser


def test_jsonargparse_knows_the_types_of_options(parser: ArgumentParser) -> None:
    types = option_types(parser)
    changed = "jsonargparse changed where it keeps options and their types"
    assert (types["--flag"], types["--names"], types["--data.rows"], types["--debug"]) == (bool, list[str], int, None), changed
    assert {name for name in types if name.endswith("+")} == {"--names+"}, "jsonargparse changed how a list is appended to"


def test_jsonargparse_lists_the_keys_of_a_configuration(parser: ArgumentParser) -> None:
    assert {"flag", "names", "data.rows"} <= destinations(parser), "jsonargparse changed where it keeps the keys of options"


_SESSIONS = """
import os, psutil, ray
from scaleout.cluster import connect
with connect(num_cpus=1, object_store_bytes=100_000_000):
    print(*(os.getsid(child.pid) == os.getsid(0) for child in psutil.Process().children()))
"""


@pytest.mark.ray
def test_ray_starts_its_processes_where_they_get_sessions_of_their_own() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    output = subprocess.run([sys.executable, "-c", _SESSIONS], env=environment, capture_output=True, text=True, check=True).stdout
    assert set(output.split()) == {"False"}, "Ray no longer starts its processes by services.ConsolePopen"


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.ray
def test_a_ray_answers_by_its_address() -> None:
    assert ray_internals.answers(ray.get_runtime_context().gcs_address, 10), "the service or method of the GCS has another name"


def test_ray_train_leaves_ctrl_c_alone() -> None:
    assert "_register_sigint_handler" in vars(DataParallelTrainer), "Ray Train handles SIGINT elsewhere"
