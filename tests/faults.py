"""The table of faults in ``docs/reliability.md``, filled in by the tests that break things.

``make reliability`` runs them, and then this file, which puts what they recorded into the document.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.conftest import REPOSITORY

REPORT = REPOSITORY / "docs" / "reliability.md"
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"

FAULTS_VARIABLE = "MEDVLP_FAULTS"
"""Names the JSON file that collects what the tests saw; nothing is written without it."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What a fault cost a run."""

    fault: str
    """What was broken, as a reader of the table would say it: "kill -9 of a worker in mid-step"."""
    setting: str
    """Where: "Ray, 2 workers, ZeRO 2", "loop without Ray, S3"."""
    outcome: str
    """What the run did by itself and what the user had to do: "restarts by itself", "stops and names the shard; then the same command"."""
    lost_steps: int
    """Steps that were done and had to be done again."""
    recovery_seconds: float | None
    """From the fault, or from the command that continues, to the end of the next new step; None where nothing stopped."""


def record(fault: Fault) -> None:
    """Put one row into the table; a row of the same fault and setting is replaced."""
    if path := os.environ.get(FAULTS_VARIABLE):
        rows = [row for row in read_faults(Path(path)) if (row.fault, row.setting) != (fault.fault, fault.setting)]
        Path(path).write_text(
            json.dumps([asdict(row) for row in sorted([*rows, fault], key=lambda row: (row.setting, row.fault))], indent=1)
        )


def read_faults(path: Path) -> list[Fault]:
    """All rows that were recorded."""
    return [Fault(**row) for row in json.loads(path.read_text())] if path.exists() else []


def table(faults: list[Fault]) -> str:
    """The rows in Markdown."""
    lines = ["| fault | where | what happens | steps done again | recovery |", "|---|---|---|---|---|"]
    for row in faults:
        recovery = "no pause" if row.recovery_seconds is None else f"{row.recovery_seconds:.1f} s"
        lines.append(f"| {row.fault} | {row.setting} | {row.outcome} | {row.lost_steps} | {recovery} |")
    return "\n".join(lines)


def put_into(report: str, faults: list[Fault]) -> str:
    """The document with its table replaced."""
    before, _, rest = report.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{table(faults)}\n{END}{after}"


if __name__ == "__main__":
    REPORT.write_text(put_into(REPORT.read_text(), read_faults(Path(os.environ[FAULTS_VARIABLE]))))
