"""A disk that is full when a checkpoint is due: the run stops and says so, and the newest complete checkpoint is what it was."""

from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import CheckpointError, DataError
from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from tests.chaos.runs import At, resume
from tests.chaos.unbroken import Left, assert_as_unbroken, left_by
from tests.conftest import SmallDisk
from tests.faults import Fault, record
from tests.scaleout.train.tiny_run import TinyRun

pytestmark = pytest.mark.chaos

KILOBYTE = 1024


@pytest.mark.parametrize(("left", "how"), [(0, "full"), (400 * KILOBYTE, "full in the middle of a file")])
def test_the_disk_of_the_run_is_full(config: RunConfig, unbroken: Left, small_disk: SmallDisk, left: int, how: str) -> None:
    config = replace(config, storage=str(small_disk.folder))
    started = TinyRun(config, trackers=[At({5: lambda: small_disk.fill(left)})])
    with pytest.raises(DataError, match=r"cannot write .*: No space left on device; free some space .*, then the same command continues"):
        started.run()
    assert TinyRun(config).progress.step == 4, "the newest complete checkpoint is loaded, whole"
    small_disk.make_room()
    resumed = resume(config)
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    outcome = "stops and says so; when there is space, the same command continues"
    fault = f"the run's disk is {how} when a checkpoint is due"
    record(
        Fault(
            fault=fault,
            setting="loop without Ray, local disk",
            outcome=outcome,
            lost_steps=resumed.lost_steps,
            recovery_seconds=resumed.seconds,
        )
    )


@pytest.mark.parametrize("left", [0, 400 * KILOBYTE])
def test_the_disk_for_temporary_files_is_full(
    config: RunConfig, unbroken: Left, small_disk: SmallDisk, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(small_disk.folder))
    started = TinyRun(config, trackers=[At({5: lambda: small_disk.fill(left)})])
    with pytest.raises(CheckpointError, match=r"cannot write the checkpoint of step 6 below .*: No space left on device; .*TMPDIR"):
        started.run()
    assert [path.name for path in Path(small_disk.folder).iterdir()] == ["ballast"], "what was begun is taken away"
    assert TinyRun(config).progress.step == 4
    small_disk.make_room()
    resumed = resume(config)
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    record(
        Fault(
            fault="the disk for temporary files is full when a checkpoint is due",
            setting="loop without Ray, local disk",
            outcome="stops and says so; when there is space, the same command continues",
            lost_steps=resumed.lost_steps,
            recovery_seconds=resumed.seconds,
        )
    )
