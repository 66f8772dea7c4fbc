"""The main job as it is sent to a cluster: ``ray job submit`` with a snapshot, to a Ray head of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from scaleout.checkpoint.store import CheckpointStore
from scaleout.local import head
from tests.conftest import REPOSITORY
from tests.jobs.tiny import RECIPE, Artefacts, pretrain_options


@pytest.mark.ray
@pytest.mark.slow
def test_a_submitted_job_trains_in_its_snapshot(phantoms: Artefacts, tmp_path: Path) -> None:
    options = pretrain_options(phantoms, "submitted", tmp_path / "runs", "--tracking.pictures", "false", "--train.max_steps", "2")
    options[options.index(str(RECIPE))] = str(RECIPE.relative_to(REPOSITORY))  # from the snapshot
    with head(cpus=3) as started:
        submit = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--working-dir=.", "--runtime-env=runtime_env.yaml", "--"]
        job = subprocess.run(
            [*submit, "python", "jobs/pretrain.py", *options],
            cwd=REPOSITORY,
            env=dict(started.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
    assert job.returncode == 0, job.stdout
    newest = CheckpointStore(str(tmp_path / "runs" / "submitted" / "checkpoints"), keep=1).newest()
    assert newest is not None
    assert newest[1].step == 2
    for expected in ("resolved configuration:", "M parameters", "training ends about", "findings from the image, AUROC", newest[0]):
        assert expected in job.stdout
