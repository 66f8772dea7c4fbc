"""A task in a file outside of the packages, as a user has one: trained, evaluated, exported and loaded by the same commands."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet
import pytest
import yaml

import medvlp
from medvlp.errors import CheckpointError
from medvlp.tasks.registry import find_task
from tests.conftest import REPOSITORY
from tests.jobs.tiny import RECIPE, Artefacts

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """Runs a job as typed, in a process of its own that finds modules in ``tmp_path`` too."""
    path = os.pathsep.join([str(tmp_path), str(REPOSITORY / "platform"), str(REPOSITORY)])
    environment = {**os.environ, "PYTHONPATH": path}
    environment.pop("RAY_ADDRESS", None)

    def run(job: str, *options: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, str(REPOSITORY / "jobs" / f"{job}.py"), *options]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.slow
@pytest.mark.ray
def test_a_task_of_ones_own_goes_the_whole_way(
    phantoms: Artefacts, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(REPOSITORY / "examples" / "modality_task.py", tmp_path / "my_task.py")
    task, runs = ["--task", "my_task:ModalityTask"], str(tmp_path / "runs")
    recipe = yaml.safe_load(RECIPE.read_text())
    del recipe["pretext"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    options = ["--config", "recipe.yaml", "--storage", runs, "--name", "own", *phantoms.options, "--modality.hidden", "8"]
    sizes = ["--train.max_steps", "4", "--train.validate_every", "4", "--train.checkpoint_every", "4"]
    trained = command("pretrain", *task, *options, *sizes, "--scale.workers", "2")
    assert trained.returncode == 0, trained.stderr
    assert "modality, accuracy" in trained.stdout
    assert json.loads((tmp_path / "runs" / "own" / "run.json").read_text())["config"]["modality"] == {"hidden": 8}

    evaluated = command("evaluate", "--run", "own", "--storage", runs, "--split", "validation", "--workers", "2")
    assert evaluated.returncode == 0, evaluated.stderr
    folder = tmp_path / "runs" / "own" / "evaluations" / "validation-step-00000004"
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["samples"] == pyarrow.parquet.read_table(folder / "samples.parquet").num_rows == 60
    assert "modality, accuracy" in evaluated.stdout

    exported = command("export", "--run", "own", "--storage", runs, "--output", str(tmp_path / "model"))
    assert exported.returncode == 0, exported.stderr
    assert "distinguishes" in (tmp_path / "model" / "README.md").read_text()
    # A folder from elsewhere imports nothing: its user says whose task it is.
    with pytest.raises(CheckpointError, match="unknown task 'my_task:ModalityTask'"):
        medvlp.load(tmp_path / "model")
    monkeypatch.syspath_prepend(str(tmp_path))
    model = medvlp.load(tmp_path / "model", task=find_task("my_task:ModalityTask"))
    assert len(model.config.targets["classes"]) == model.module.head[2].out_features


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vqq", "unknown task 'vqq'; known tasks: pretrain, vqa; did you mean 'vqa'?"),
        ("absent:Task", "cannot be imported (No module named 'absent'); is the folder of absent on PYTHONPATH?"),
        ("medvlp.tasks.vqa.task:Question", "the module has"),
        ("medvlp.errors:DataError", "is not a task"),
    ],
)
def test_a_name_that_is_no_task_is_refused_on_one_line(command: Command, name: str, said: str) -> None:
    refused = command("finetune", "--task", name, "--name", "x", "--storage", "y")
    assert refused.returncode == 2
    assert said in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
