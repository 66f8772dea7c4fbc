"""Everything that a run reports, as plain files in its folder: readable without any software. Other trackers show a view of them."""

import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medvlp.configuration import flat
from medvlp.json_values import parse_object
from scaleout.tracking.pictures import Picture, picture_key, save_picture
from scaleout.tracking.records import LineFile, Record, encode_metrics, last_steps, read_records, unseen
from scaleout.tracking.tracker import RunStatus

METRICS_FILE = "metrics.jsonl"
EVENTS_FILE = "events.jsonl"
SUMMARY_FILE = "summary.json"
PICTURES_FOLDER, ARTIFACTS_FOLDER = "pictures", "artifacts"


class JsonLinesTracker:
    """Writes to a local folder, which may already contain the reports of a run before it was resumed.

    ``metrics.jsonl`` has one object per call (step, time, metrics), ``pictures/NAME/step-00000100.png`` and ``artifacts/`` the files,
    ``summary.json`` the latest parameters, tags and status. ``events.jsonl`` contains everything but the metrics, in the order reported.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._last_steps = last_steps(read_records(folder / METRICS_FILE))
        self._files = {name: LineFile(folder / name) for name in (METRICS_FILE, EVENTS_FILE)}
        self._summary = _read_summary(folder / SUMMARY_FILE)

    def params(self, values: Mapping[str, object]) -> None:
        """Store the latest configuration."""
        self._update_summary(params=dict(values), status=RunStatus.RUNNING)
        self._event("status", status=RunStatus.RUNNING.value)
        self._event("params", values={name: str(value) for name, value in flat(values)})

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Append one line, in one write, so that readers see only whole lines, even after a crash."""
        new = unseen(values, step, self._last_steps)
        if not new:
            return
        self._last_steps.update(dict.fromkeys(new, step))
        self._append(METRICS_FILE, {"step": step, "time": time.time(), "metrics": encode_metrics(new)})

    def picture(self, name: str, picture: Picture, step: int) -> None:
        """Write a PNG file."""
        path = Path(PICTURES_FOLDER, picture_key(name), f"step-{step:08d}.png")
        save_picture(picture, self._folder / path)
        self._event("picture", path=str(path))

    def artifact(self, path: Path, folder: str = "") -> None:
        """Copy the file or folder to ``artifacts/``."""
        target = self._folder / ARTIFACTS_FOLDER / folder / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.copytree(path, target, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, target)
        self._event("artifact", path=str(target.relative_to(self._folder)))

    def tags(self, values: Mapping[str, str]) -> None:
        """Add tags."""
        self._update_summary(tags={**(self._summary.get("tags") or {}), **values})
        self._event("tags", values=dict(values))

    def finish(self, status: RunStatus) -> None:
        """Write the status and close the files."""
        self._update_summary(status=status)
        self._event("status", status=status.value)
        for file in self._files.values():
            file.close()

    def _event(self, kind: str, **details: object) -> None:
        self._append(EVENTS_FILE, {"kind": kind, "time": time.time(), **details})

    def _append(self, file: str, record: Record) -> None:
        self._files[file].append(record)

    def _update_summary(self, **changes: object) -> None:
        self._summary.update(changes)
        path = self._folder / SUMMARY_FILE
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._summary, indent=2, sort_keys=True, default=str) + "\n")
        temporary.replace(path)


def _read_summary(path: Path) -> dict[str, Any]:
    try:
        return parse_object(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
