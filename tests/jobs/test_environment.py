"""Jobs in the environments of batch systems and slim containers."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from scaleout.shards.manifest import ShardManifest
from tests.conftest import REPOSITORY
from tests.faults import Fault, record
from tests.jobs.tiny import Artefacts, pretrain_options

pytestmark = pytest.mark.ray

SECONDS = 300


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A job as a process of its own, with no Ray and no folder for caches in its environment."""
    dropped = ("RAY_", "LC_", "LANG", "PYTHONUTF8", "PYTHONIOENCODING", "TORCH_EXTENSIONS_DIR", "MPLCONFIGDIR")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=REPOSITORY,
        env=inherited | {"PYTHONPATH": f"platform{os.pathsep}."} | environment,
        capture_output=True,
        encoding="utf-8",
        timeout=SECONDS,
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus in whose files, names and folders nothing is ASCII."""
    folder = tmp_path / "Körper 胸"
    folder.mkdir()
    rows = []
    for number in range(12):
        name = f"Röntgen {number} 胸.png"
        Image.new("L", (32, 32), number * 20).save(folder / name)
        rows.append({"image": name, "text": f"Ein größerer Pleuraerguß, {number}", "modality": "Röntgen", "split": "train"})
    (folder / "captions.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return folder


LONG_NAME = "a-folder-for-temporary-files-as-batch-systems-make-them-for-each-user-project-job-and-step"
HARDSHIPS = {
    "LC_ALL=C and PYTHONUTF8=0, a TMPDIR of more than 107 bytes, a HOME that cannot be written": {
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "HOME": "/dev/null",
    },
    "LC_ALL=POSIX and PYTHONIOENCODING=ascii": {"LC_ALL": "POSIX", "PYTHONIOENCODING": "ascii"},
}


@pytest.mark.parametrize("hardship", [*HARDSHIPS][:1] + [pytest.param(name, marks=pytest.mark.verify) for name in [*HARDSHIPS][1:]])
@pytest.mark.chaos
def test_a_corpus_of_any_language_is_prepared_in_a_bare_environment(hardship: str, corpus: Path, tmp_path: Path) -> None:
    temporary = tmp_path / LONG_NAME
    temporary.mkdir()
    options = ["--corpus", "jsonl", "--root", str(corpus), "--output", str(tmp_path / "Ausgabe ä"), "--vocabulary_size", "300"]
    result = run("jobs/prepare.py", *options, TMPDIR=str(temporary), **HARDSHIPS[hardship])
    assert result.returncode == 0, result.stderr
    assert ShardManifest.load(str(tmp_path / "Ausgabe ä")).splits == {"train": 12}
    shown = "R\\xf6ntgen 12" if "ascii" in hardship else "Röntgen 12"
    assert shown in result.stdout
    record(
        Fault(
            fault=hardship,
            setting="jobs/prepare.py, Ray, non-ASCII file names",
            outcome="works as everywhere",
            lost_steps=0,
            recovery_seconds=None,
        )
    )


@pytest.mark.chaos
@pytest.mark.verify
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1"])
def test_a_run_is_refused_where_the_named_cluster_is_dead(address: str, phantoms: Artefacts, tmp_path: Path) -> None:
    since = time.monotonic()
    result = run("jobs/pretrain.py", *pretrain_options(phantoms, "nowhere", tmp_path / "runs"), RAY_ADDRESS=address)
    seconds = time.monotonic() - since
    assert result.returncode == 2, result.stderr
    assert f"ConfigurationError: no Ray answered at RAY_ADDRESS={address} within 10 s" in result.stderr
    assert not (tmp_path / "runs" / "nowhere").exists()
    outcome = f"refused {seconds:.0f} s after the start of the command; correct or unset the variable"
    record(
        Fault(
            fault=f"RAY_ADDRESS names a dead cluster ({address})",
            setting="jobs/pretrain.py",
            outcome=outcome,
            lost_steps=0,
            recovery_seconds=None,
        )
    )
