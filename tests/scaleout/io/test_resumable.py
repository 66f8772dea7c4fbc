"""Resumable jobs: records count only where they are of the file that they are named for."""

import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from medvlp.errors import ConfigurationError, DataError
from scaleout.io import resumable, storage
from scaleout.io.resumable import make_files, ray_tasks


def make(name: str) -> tuple[bytes, dict[str, str]]:
    """A file of its own name."""
    return name.encode(), {}


def test_a_record_of_another_file_is_refused(tmp_path: Path) -> None:
    records = list(make_files(str(tmp_path), ["a", "b"], make, map))
    assert [record["name"] for record in records] == ["a", "b"]
    path = tmp_path / "records" / "a.json"
    path.write_text(json.dumps({**records[0], "name": "../../evil"}))
    with pytest.raises(DataError, match=r"a\.json is damaged .*; delete it and run again"):
        list(make_files(str(tmp_path), ["a", "b"], make, map))


def test_no_file_is_made_outside_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'\.\./evil' is not a valid file or folder name"):
        list(make_files(str(tmp_path / "output"), ["../evil"], make, map))
    assert not (tmp_path / "evil").exists()


def test_records_are_made_as_they_are_asked_for(tmp_path: Path) -> None:
    names = [f"file-{number}" for number in range(9)]
    records = make_files(str(tmp_path), names, make, map)
    assert [next(records)["name"] for _ in range(2)] == names[:2]
    assert {path.name for path in tmp_path.iterdir()} == {*names[:2], "records"}
    (tmp_path / names[1]).unlink()
    assert [record["name"] for record in make_files(str(tmp_path), names, make, map)] == names
    assert not (tmp_path / names[1]).exists()  # its record counts


class Marking:
    """Leaves a mark in a folder for each name, and one for each process that unpacked it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state
        (self.folder / f"unpacked-{uuid.uuid4().hex}").touch()

    def __call__(self, name: str) -> dict[str, Any]:
        (self.folder / f"ran-{name}").touch()
        return {"name": name, "process": os.getpid()}


@pytest.mark.ray
def test_few_tasks_are_in_flight_and_results_come_in_order(tmp_path: Path, ray_cluster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "IN_FLIGHT", 5)
    names = [f"{number:03d}" for number in range(40)]
    results = ray_tasks(Marking(tmp_path), names)
    assert next(iter(results))["name"] == "000"
    time.sleep(2)
    assert len(list(tmp_path.glob("ran-*"))) <= 5
    rest = list(results)
    assert [result["name"] for result in rest] == names[1:]
    assert len(list(tmp_path.glob("ran-*"))) == 40
    # Not once for every task: a linker takes longer to unpack than a file to link.
    processes = {result["process"] for result in rest}
    assert len(list(tmp_path.glob("unpacked-*"))) <= len(processes) + 1


@pytest.mark.ray
def test_who_stops_asking_stops_the_tasks(tmp_path: Path, ray_cluster: None) -> None:
    def slowly(name: str) -> dict[str, Any]:
        time.sleep(0.3)
        (tmp_path / name).touch()
        return {"name": name}

    results = iter(ray_tasks(slowly, [f"{number:03d}" for number in range(200)]))
    next(results)
    results.close()  # type: ignore[attr-defined]
    time.sleep(1)
    done = len(list(tmp_path.iterdir()))
    time.sleep(1.5)
    assert len(list(tmp_path.iterdir())) == done < 60


def test_overwriting_replaces_only_what_the_same_job_made(tmp_path: Path) -> None:
    output = str(tmp_path / "made")
    resumable.begin(output, {"version": 1, "corpus": "a"})
    storage.write_bytes(f"{output}/a.tar", b"a")
    with pytest.raises(
        ConfigurationError, match=r"plan\.json is that of another job, or of another version of this one: choose another --output"
    ):
        resumable.begin(output, {"version": 1, "ontology": "b"}, overwrite=True)
    assert storage.list_names(output) == ["a.tar", "plan.json"]
    resumable.begin(output, {"version": 1, "corpus": "b"}, overwrite=True)
    assert storage.list_names(output) == ["plan.json"]
