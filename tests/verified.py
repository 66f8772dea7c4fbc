"""The checks of ``make verify`` beyond the tests of CI, and the page with their results: ``python -m tests.verified``."""

import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "verified.md"
CHECKS = {
    "every fault that the tests know": "make reliability",
    "long fuzzing of data handling": "python -m pytest -q -p no:cacheprovider --hypothesis-profile long -m 'not ray and not verify' "
    "tests/medvlp/corpora tests/medvlp/data tests/scaleout/shards tests/scaleout/stream tests/scaleout/io",
    "small inputs that were once handled wrongly": "python -m pytest -q -p no:cacheprovider -rA tests/test_cases.py",
    "every test file of pydicom": "python -m pytest -q -p no:cacheprovider tests/medvlp/data/dicom/test_pydicom_data.py",
    "everything that takes too long for CI": "python -m pytest -q -p no:cacheprovider -m verify",
    "the main job": "make pretrain",
    "question answering": "make finetune",
    "the whole test split": "make evaluate",
}
"""Each check and its command."""
FIGURES = re.compile(
    r"^(?:\d+ (?:passed|failed).*|findings from the image, AUROC.*|image and text match.*|answers, (?:accuracy|shuffled).*)$", re.MULTILINE
)
"""Lines of the output that the page shows in the row of the check."""
LISTED = re.compile(r"^(?:(?:PASSED|FAILED|SKIPPED) tests/test_cases\.py::\S+|[\w.-]+\.dcm: .+)$", re.MULTILINE)
"""Lines that it shows in a list."""


@dataclass(frozen=True)
class Seen:
    """Result of a check."""

    what: str
    command: str
    passed: bool
    minutes: float
    lines: list[str]
    listed: list[str] = field(default_factory=list)


def run(what: str, command: str) -> Seen:
    """Run a check and show its output."""
    print(f"== {what}: {command}", flush=True)
    started = time.monotonic()
    ended = subprocess.run(command, shell=True, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(ended.stdout, flush=True)
    found = [" ".join(line.split()) for line in FIGURES.findall(ended.stdout)]
    return Seen(what, command, ended.returncode == 0, (time.monotonic() - started) / 60, found, LISTED.findall(ended.stdout))


def page(seen: list[Seen], commit: str, date: str) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Verified",
        "",
        f"Results of `make verify` at commit `{commit}` on {date}: everything that takes too long for CI. The command writes this page.",
        "",
        "| what | command | result | minutes |",
        "|---|---|---|---|",
    ]
    for each in seen:
        result = "; ".join(["passed" if each.passed else "**failed**", *each.lines])
        lines.append(f"| {each.what} | `{each.command}` | {result} | {each.minutes:.0f} |")
    shown: set[str] = set()
    for each in seen:
        if new := [line for line in each.listed if line not in shown]:
            lines += ["", f"## {each.what[0].upper()}{each.what[1:]}", "", *(f"- {line}" for line in new)]
            shown.update(new)
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run all checks and write the page; return exit status 0 if all passed, else 1."""
    head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    seen = [run(what, command) for what, command in CHECKS.items()]
    PAGE.write_text(page(seen, head.stdout.strip(), f"{datetime.now(UTC):%Y-%m-%d}"))
    return 0 if all(each.passed for each in seen) else 1


if __name__ == "__main__":
    sys.exit(main())
