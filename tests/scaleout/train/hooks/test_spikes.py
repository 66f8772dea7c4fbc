"""A loss far above the recent ones is a spike; noise, a fall, and the first points are none."""

import numpy as np
import pytest

from scaleout.train.hooks.spikes import FEWEST, RECENT, SpikeReport


def report_of(losses: list[float]) -> list[float | None]:
    report = SpikeReport()
    return [report.look(loss) for loss in losses]


def noise(count: int, level: float = 2.0) -> list[float]:
    return (level + 0.05 * np.random.default_rng(0).standard_normal(count)).tolist()


def test_a_jump_is_a_spike_as_many_deviations_high_as_it_is() -> None:
    *before, above = report_of([*noise(200), 4.0])
    assert before == [None] * 200
    assert above == pytest.approx((4.0 - 2.0) / 0.05, rel=0.3)


@pytest.mark.parametrize("losses", [noise(1000), [3.0 * 0.99**step for step in range(500)], [2.0] * 99 + [2.05], [0.0] * 50])
def test_noise_a_fall_and_a_breath_are_none(losses: list[float]) -> None:
    assert set(report_of(losses)) == {None}


def test_one_spike_does_not_hide_the_next() -> None:
    found = report_of([*noise(100), 4.0, *noise(3), 4.0])
    assert [step for step, above in enumerate(found) if above] == [100, 104]


def test_a_new_level_is_the_usual_one_after_a_while() -> None:
    found = report_of([*noise(RECENT), *noise(RECENT, level=4.0)])
    assert found[RECENT] is not None
    assert found[-10:] == [None] * 10


def test_the_first_points_are_none() -> None:
    found = report_of([1.0] * (FEWEST - 1) + [9.0, 9.0])
    assert found[:-1] == [None] * FEWEST
    assert found[-1] is not None
