"""Every command that README, docs, recipes, examples and the Makefile show is taken by its job as typed, each in a process of its own.

A job is run up to the point where it has read its whole command line. That it then does what it says is shown by the other tests.
"""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

JOBS = sorted(path.stem for path in (REPOSITORY / "jobs").glob("*.py"))
PLACES = [
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
    "cluster.yaml",
    "docs/**/*.md",
    "jobs/recipes/*.yaml",
    "platform/deploy/*",
    "examples/*",
]
HISTORY = REPOSITORY / "docs" / "design"
"""Decisions as they were made, with the commands of their day."""
LEFT_OUT = "…"
"""Stands for options that are not shown."""
UP_TO_THE_END_OF_PARSING = """
import runpy, sys
from scaleout import cli

read = cli._parameters

def stop(function, argv):
    read(function, argv)
    raise SystemExit("taken")

cli._parameters = stop
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def documents() -> Iterator[Path]:
    for place in PLACES:
        yield from (path for path in sorted(REPOSITORY.glob(place)) if path.is_file() and HISTORY not in path.parents)


def commands(text: str) -> Iterator[str]:
    """What is typed after ``python``, continued lines joined, make's and the shell's variables replaced by a name."""
    text = re.sub(r"\s*\\\\?\n[#\s]*", " ", text)
    for found in re.finditer(r"python (jobs/\w+\.py)([^\n`#|]*)", text):
        yield re.sub(r"\$\(([^)]*)\)|\$(\w+)", "place", found[1] + found[2]).strip()


def shown() -> dict[str, str]:
    """The commands, each with a file that shows it."""
    return {command: str(path.relative_to(REPOSITORY)) for path in documents() for command in commands(path.read_text())}


SHOWN = shown()


def type_in(command: str) -> str:
    """What a job says to a command line: "taken", or its error."""
    arguments = shlex.split(re.sub(rf"--[\w.]+ {LEFT_OUT}", "", command).replace(LEFT_OUT, ""))
    line = [sys.executable, "-c", UP_TO_THE_END_OF_PARSING, *arguments]
    ended = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return ended.stderr.strip()


@pytest.mark.slow
def test_every_shown_command_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        answers = dict(zip(SHOWN, pool.map(type_in, SHOWN), strict=True))
    refused = {}
    for command, answer in answers.items():
        is_partial = LEFT_OUT in command and re.search(r"required|Key '.*' is missing|config", answer) and "unknown option" not in answer
        if answer != "taken" and not is_partial:
            refused[f"{SHOWN[command]}: {command}"] = answer[-300:]
    assert not refused
    with capsys.disabled():
        print(f"\n{len(SHOWN)} documented commands were taken, each in a process of its own")


def test_commands_are_found_where_they_are_shown() -> None:
    assert {"README.md", "Makefile", "jobs/recipes/sweep.yaml", "docs/guides/your-own-data.md"} <= set(SHOWN.values())
    assert {re.findall(r"jobs/(\w+)\.py", command)[0] for command in SHOWN} == set(JOBS)


def ask_for_help(job: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, f"jobs/{job}.py", "--help"], cwd=REPOSITORY, capture_output=True, text=True, check=False)


def test_every_job_explains_itself() -> None:
    with ThreadPoolExecutor(2) as pool:
        for job, ended in zip(JOBS, pool.map(ask_for_help, JOBS), strict=True):
            assert ended.returncode == 0, f"{job}: {ended.stderr}"
            assert "usage:" in ended.stdout, job
