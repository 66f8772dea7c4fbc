"""A run on several nodes: it goes on with fewer when one is lost, saves first when it is told, and grows when one comes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from tests.jobs import chaos
from tests.jobs.chaos import Driver
from tests.jobs.tiny import Artefacts, pretrain_options

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

WHERE = "Ray, three nodes, 1 to 4 workers, ZeRO 2"
STEPS = 90
RANGE = ["--scale.workers", "4", "--scale.minimum_workers", "1", "--scale.resize_minutes", "0.03"]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Three nodes of one CPU: room for four workers of half a CPU, and a CPU for the data."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("RAY_") and not name.startswith("RAY_TRAIN")]:
            patch.delenv(name)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 200_000_000})
        yield cluster
        cluster.shutdown()


def add_node(cluster: Cluster) -> object:
    return cluster.add_node(num_cpus=1, object_store_memory=100_000_000)


def drain(cluster: Cluster, node_id: str, seconds: int) -> None:
    """What a cloud does that takes a node away: it tells Ray first."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.address, "--node-id", node_id]
    reason = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot", "--deadline-remaining-seconds", str(seconds)]
    subprocess.run([*command, *reason], check=True, capture_output=True)
