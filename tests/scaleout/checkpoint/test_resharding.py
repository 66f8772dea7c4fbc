"""Another number of workers continues where the others stopped, with ZeRO 0 to 3: the next steps are those of the unbroken run.

Tolerances, in float32: weights are loaded to the last bit; gradients to 1e-5 and later weights to 1e-6 of their norm.
The gradients are compared with plain torch's, by losses of the same size; their whole norm with the unbroken run's.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import multiprocessing

from medvlp.errors import CheckpointError
from scaleout.checkpoint.read import verified_copy
from scaleout.checkpoint.record import COMPLETE_FILE
from scaleout.checkpoint.store import CheckpointStore
from scaleout.checkpoint.universal import universal_engine_folder
from scaleout.engine.process_group import ProcessGroup
from tests.scaleout.checkpoint.resharding_workers import CONTINUED_BY, continue_run, save
from tests.scaleout.engine.test_zero import GRADIENT_TOLERANCE, WEIGHT_TOLERANCE, assert_close
from tests.scaleout.engine.zero_workers import STAGES

CHANGES = [(before, after) for before, followers in CONTINUED_BY.items() for after in followers]
"""Workers before, and after."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """What the workers wrote down and saved, by how many saved it; and ``temporary``, where they convert."""
    found = {workers: tmp_path_factory.mktemp(f"saved-by-{workers}") for workers in CONTINUED_BY}
    with pytest.MonkeyPatch.context() as patch:
        for workers, folder in found.items():
            (folder / "temporary").mkdir()
            patch.setenv("TMPDIR", str(folder / "temporary"))
            multiprocessing.spawn(save, (workers, str(folder)), nprocs=workers)
            for after in CONTINUED_BY[workers]:
                multiprocessing.spawn(continue_run, (after, str(folder)), nprocs=after)
    return found


def read(folder: Path, name: str, stage: int) -> dict[str, Any]:
    return torch.load(folder / f"{name}.pt", weights_only=False)[stage]


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_the_next_steps_are_those_of_the_unbroken_run(folders: dict[int, Path], before: int, after: int, stage: int) -> None:
    unbroken, resumed = read(folders[before], "unbroken", stage), read(folders[before], f"by-{after}", stage)
    # All of them, the frozen one too.
    assert_close(resumed["weights"], unbroken["weights"], 0.0)
    assert resumed["rates"] == unbroken["rates"]
    assert_close(unbroken["gradients"], unbroken["plain"][before], GRADIENT_TOLERANCE)
    assert_close(resumed["gradients"], unbroken["plain"][after], GRADIENT_TOLERANCE)
    assert resumed["norms"] == pytest.approx(unbroken["norms"], rel=1e-5)
    assert_close(resumed["last_weights"], unbroken["last_weights"], WEIGHT_TOLERANCE)


@pytest.mark.slow
def test_the_checkpoint_stays_as_it_was_and_nothing_else_is_left(folders: dict[int, Path]) -> None:
    for folder in folders.values():
        assert list((folder / "temporary").glob("medvlp-*")) == []
        for stage in STAGES:
            uri, record = CheckpointStore(f"{folder}/stage-{stage}", keep=1).newest()
            with verified_copy(uri, record) as local:
                files = {path.relative_to(local).as_posix() for path in local.rglob("*") if path.is_file()}
            assert files == {*record.files, COMPLETE_FILE}


def test_what_cannot_be_converted_is_a_clear_error(tmp_path: Path) -> None:
    refused = pytest.raises(CheckpointError, match=r"could not be converted for another number of workers: .*Error")
    with refused, universal_engine_folder(tmp_path, ProcessGroup()):
        raise AssertionError
