"""A run's metrics as plain files in the run's folder: readable without any software, also when MLflow is down."""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaleout.tracking.pictures import Picture, picture_key, save_picture
from scaleout.tracking.records import LineFile, encode_metrics, last_steps, read_records, unseen
from scaleout.tracking.tracker import RunStatus

METRICS_FILE = "metrics.jsonl"
SUMMARY_FILE = "summary.json"


class JsonLinesTracker:
    """Writes to a local folder, which may already contain what the run reported before it was resumed.

    ``metrics.jsonl`` has one object per call (step, time, metrics), ``summary.json`` parameters, tags and status,
    ``pictures/NAME/step-00000100.png`` and ``artifacts/`` the rest.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / METRICS_FILE
        self._last_steps = last_steps(read_records(path))
        self._file = LineFile(path)
        self._summary = _read_summary(folder / SUMMARY_FILE)

    def params(self, values: Mapping[str, object]) -> None:
        """Store the latest configuration."""
        self._update_summary(params=dict(values), status=RunStatus.RUNNING)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Append one line, in one write, so that readers see only whole lines, even after a crash."""
        new = unseen(values, step, self._last_steps)
        if not new:
            return
        self._last_steps.update(dict.fromkeys(new, step))
        self._file.append({"step": step, "time": time.time(), "metrics": encode_metrics(new)})

    def picture(self, name: str, picture: Picture, step: int) -> None:
        """Write a PNG file."""
        save_picture(picture, self._folder / "pictures" / picture_key(name) / f"step-{step:08d}.png")

    def artifact(self, path: Path, folder: str = "") -> None:
        """Copy the file or folder to ``artifacts/``."""
        target = self._folder / "artifacts" / folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, target)

    def tags(self, values: Mapping[str, str]) -> None:
        """Add tags."""
        self._update_summary(tags={**self._summary.get("tags", {}), **values})

    def finish(self, status: RunStatus) -> None:
        """Write the status and close the file."""
        self._update_summary(status=status)
        self._file.close()

    def _update_summary(self, **changes: object) -> None:
        self._summary.update(changes)
        path = self._folder / SUMMARY_FILE
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._summary, indent=2, sort_keys=True, default=str) + "\n")
        temporary.replace(path)


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}
