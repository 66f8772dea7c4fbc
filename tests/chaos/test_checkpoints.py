"""Checkpoints that are damaged in storage: none is ever loaded, and the run continues from the one before."""

from collections.abc import Callable
from pathlib import Path

import pytest

from medvlp.errors import DamagedCheckpointError
from scaleout.checkpoint.read import read_weights
from scaleout.checkpoint.record import COMPLETE_FILE, ENGINE_FOLDER, WEIGHTS_FILE
from scaleout.checkpoint.store import SetAsideError
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from tests.chaos.runs import resume
from tests.chaos.unbroken import Left, assert_as_unbroken, left_by
from tests.faults import Fault, record
from tests.scaleout.train.tiny_run import TinyRun

pytestmark = pytest.mark.chaos

ENGINE = f"{ENGINE_FOLDER}/engine.pt"
SETTING = "loop without Ray, local disk"


def alter(path: Path) -> None:
    """One bit."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    """The second half is missing."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(("damage", "fault"), [(alter, "has a bit altered"), (cut, "is cut"), (Path.unlink, "is missing")])
def test_a_damaged_checkpoint_is_set_aside(config: RunConfig, unbroken: Left, damage: Callable[[Path], None], fault: str) -> None:
    stopped = TinyRun(config)
    stopped.run(stop_at=8)
    folder, _ = stopped.store.newest()
    damage(Path(folder, ENGINE))
    said = rf"step-00000008: {ENGINE} (was altered|is missing): it is set aside, and the run continues from step-00000006"
    with pytest.raises(SetAsideError, match=said):
        TinyRun(config)
    resumed = resume(config)
    assert resumed.lost_steps == 2
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    record(
        Fault(
            fault=f"a file of the newest checkpoint {fault}",
            setting=SETTING,
            outcome="it is set aside; the next start of the workers continues from the one before",
            lost_steps=resumed.lost_steps,
            recovery_seconds=resumed.seconds,
        )
    )


def test_what_a_resume_does_not_load_it_does_not_miss(config: RunConfig, unbroken: Left) -> None:
    stopped = TinyRun(config)
    stopped.run(stop_at=8)
    folder, _ = stopped.store.newest()
    cut(Path(folder, WEIGHTS_FILE))
    others = r"name another one of its run with --start_checkpoint .*: 6$"
    with pytest.raises(DamagedCheckpointError, match=f"{WEIGHTS_FILE} was altered; restore the checkpoint from a copy, or {others}"):
        read_weights(folder)
    assert resume(config).lost_steps == 0
    assert_as_unbroken(left_by(run_folder(config)), unbroken)


@pytest.mark.parametrize(("damage", "fault"), [(cut, "is cut"), (Path.unlink, "is missing")])
def test_a_checkpoint_without_its_manifest_does_not_count(
    config: RunConfig, unbroken: Left, damage: Callable[[Path], None], fault: str
) -> None:
    stopped = TinyRun(config)
    stopped.run(stop_at=8)
    damage(Path(stopped.store.newest()[0], COMPLETE_FILE))
    resumed = resume(config)
    assert resumed.lost_steps == 2
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    record(
        Fault(
            fault=f"COMPLETE.json of the newest checkpoint {fault}",
            setting=SETTING,
            outcome="continues from the one before",
            lost_steps=resumed.lost_steps,
            recovery_seconds=resumed.seconds,
        )
    )


def test_without_a_sound_one_the_run_never_starts_anew_in_silence(config: RunConfig) -> None:
    stopped = TinyRun(config)
    stopped.run(stop_at=4)
    names = storage.list_names(stopped.store.uri)
    assert names == ["step-00000002", "step-00000004"]
    for name in names:
        alter(Path(stopped.store.uri, name, ENGINE))
    with pytest.raises(SetAsideError):
        TinyRun(config)
    with pytest.raises(DamagedCheckpointError, match=r"step-00000002: .* was altered, and there is no checkpoint before it: restore it"):
        TinyRun(config)
    for name in names:
        cut(Path(stopped.store.uri, name, COMPLETE_FILE))
    with pytest.raises(DamagedCheckpointError, match=r"step-00000002/COMPLETE\.json is damaged"):
        TinyRun(config)
