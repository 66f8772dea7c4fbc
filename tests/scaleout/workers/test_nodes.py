"""What the cluster tells of its nodes."""

import pytest

from scaleout.workers.nodes import draining_nodes, spilled_bytes, staying_nodes


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_quiet_cluster_stays_as_it_is() -> None:
    assert draining_nodes() == set()
    assert [node["CPU"] for node in staying_nodes()] == [4.0]
    assert spilled_bytes()["perf/spilled_bytes"] >= 0.0
