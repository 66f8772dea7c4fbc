import time

import pytest

from scaleout.train.start_times import StartTimes


def test_parts_follow_one_another(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([103.0, 104.5, 110.0])
    monkeypatch.setattr(time, "time", lambda: next(clock))
    times = StartTimes(begun=100.0)
    for part in ("imports", "Ray", "first step"):
        times.end_part(part)
    assert times.parts == {"imports": 3.0, "Ray": 1.5, "first step": 5.5}
    assert times.total == 10.0
    assert times.describe() == "the first step ended 10.0 s after the start (imports 3.0, Ray 1.5, first step 5.5)"
