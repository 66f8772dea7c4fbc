"""The capacity for workers, and how many are started."""

import pytest

from scaleout.runs.config import ScaleConfig
from scaleout.workers.capacity import capacity_for, workers_for

GPU_NODE = {"CPU": 16.0, "GPU": 8.0}


@pytest.mark.parametrize(
    ("nodes", "capacity"),
    [
        ([{"CPU": 2.0}], 2),  # one of the two CPUs is the data's
        ([{"CPU": 2.0}, {"CPU": 2.0}], 6),
        ([{"CPU": 1.0}], 0),
        ([{"CPU": 0.3}, {"CPU": 9.0}], 16),  # no worker fits on the small one
        ([{"memory": 1.0}], 0),
        ([], 0),
    ],
)
def test_room_on_cpus_leaves_one_to_the_data(nodes: list[dict[str, float]], capacity: int) -> None:
    assert capacity_for(ScaleConfig(workers=99), nodes, use_gpu=False) == capacity


@pytest.mark.parametrize(("nodes", "capacity"), [([GPU_NODE], 8), ([GPU_NODE, {"CPU": 64.0}], 8), ([{"CPU": 1.5, "GPU": 8.0}], 1)])
def test_room_on_gpus_is_one_for_each_with_its_cpus(nodes: list[dict[str, float]], capacity: int) -> None:
    assert capacity_for(ScaleConfig(workers=16), nodes, use_gpu=True) == capacity


def test_workers_that_take_no_cpu_fit_everywhere() -> None:
    assert capacity_for(ScaleConfig(workers=3, cpus_per_worker=0), [{"CPU": 2.0}], use_gpu=False) == 3


@pytest.mark.parametrize(("capacity", "workers"), [(0, 2), (1, 2), (2, 2), (3, 3), (4, 4), (9, 4)])
def test_as_many_as_there_is_room_for_between_the_fewest_and_the_most(capacity: int, workers: int) -> None:
    assert workers_for(ScaleConfig(workers=4, minimum_workers=2), capacity) == workers


def test_without_a_minimum_there_is_one_size() -> None:
    assert {workers_for(ScaleConfig(workers=4), capacity) for capacity in range(9)} == {4}
