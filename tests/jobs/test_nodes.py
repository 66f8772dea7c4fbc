"""A run on several nodes: it saves first when one is taken away, grows when one comes, and continues with fewer when one dies."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from tests.jobs import chaos
from tests.jobs.chaos import LONG, Driver
from tests.jobs.tiny import Artefacts, pretrain_config, pretrain_options

pytestmark = [pytest.mark.ray, pytest.mark.chaos, pytest.mark.verify]

WHERE = "Ray, three nodes, 1 to 4 workers, ZeRO 2"
STEPS = 90
OPTIONS = [*LONG, "--scale.workers", "4", "--scale.minimum_workers", "1", "--scale.resize_minutes", "0.03"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A node of one CPU; with two more there is room for four workers of half a CPU, and a CPU for the data."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAY_") and not name.startswith("RAY_TRAIN")]:
            patch.delenv(name)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 200_000_000})
        yield cluster
        cluster.shutdown()


def add_node(cluster: Cluster) -> Any:
    return cluster.add_node(num_cpus=1, object_store_memory=100_000_000)


def node_with_workers(cluster: Cluster) -> Any:
    """One of the nodes that may go: on the first one the driver's part of Ray lives."""
    parents = {process.ppid() for process in chaos.workers()}
    return next(node for node in cluster.worker_nodes if node.all_processes["raylet"][0].process.pid in parents)


def drain(cluster: Cluster, node: Any, seconds: int) -> None:
    """What happens where a cloud takes a node away: Ray is told, and then the node is gone."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.address, "--node-id", node.node_id]
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot", "--deadline-remaining-seconds", str(seconds)]
    subprocess.run([*command, *reason], check=True, capture_output=True)


def kill_node(cluster: Cluster) -> None:
    cluster.remove_node(node_with_workers(cluster), allow_graceful=False)


def test_nodes_come_and_go(cluster: Cluster, phantoms: Artefacts, tmp_path: Path) -> None:
    options = pretrain_options(phantoms, "nodes", tmp_path / "runs", *OPTIONS)
    options[options.index("--train.max_steps") + 1] = str(STEPS)
    config = pretrain_config(phantoms, "nodes", tmp_path / "runs", *OPTIONS)
    config = replace(config, train=replace(config.train, max_steps=STEPS))
    unbroken = chaos.run_alone(replace(config, name="alone", storage=str(tmp_path)))

    folder = str(tmp_path / "runs" / "nodes")
    add_node(cluster), add_node(cluster)
    driver = Driver(options, tmp_path / "log", RAY_ADDRESS=cluster.address, RAY_AUTH_MODE="disabled")

    def wait_for_workers(count: int) -> None:
        chaos.wait_until(lambda: len(chaos.workers()) == count, f"there are {count} workers", lambda: driver.alive)

    try:
        told = chaos.strike(folder, 7, lambda: drain(cluster, node_with_workers(cluster), seconds=60), lambda: driver.alive)
        assert told.again == 0
        wait_for_workers(2)
        chaos.put_into_table("a node is drained (spot notice)", WHERE, "a checkpoint first; continues with 2 of 4 workers by itself", told)

        grown = chaos.strike(folder, told.at, lambda: add_node(cluster), lambda: driver.alive)
        wait_for_workers(4)
        assert grown.again == 0
        chaos.put_into_table("a node comes", WHERE, "a checkpoint first; continues with 4 instead of 2 workers by itself", grown)

        died = chaos.strike(folder, grown.at + 3, lambda: kill_node(cluster), lambda: driver.alive)
        wait_for_workers(2)
        chaos.put_into_table("a node dies", WHERE, "continues with 2 of 4 workers by itself", died)
        assert driver.wait() == 0, driver.said
    finally:
        driver.process.kill()
    chaos.wait_until(lambda: not chaos.workers(), "all workers are gone")
    chaos.assert_as_unbroken(folder, unbroken, f"sqlite:///{tmp_path}/runs/mlflow.db", name="nodes", same_workers=False, steps=STEPS)
