"""Resumable jobs: records count only where they are of the file that they are named for."""

import json
from pathlib import Path

import pytest

from medvlp.errors import DataError
from scaleout.io.resumable import make_files


def make(name: str) -> tuple[bytes, dict[str, str]]:
    """A file of its own name."""
    return name.encode(), {}


def test_a_record_of_another_file_is_refused(tmp_path: Path) -> None:
    records = make_files(str(tmp_path), ["a", "b"], make, map)
    assert [record["name"] for record in records] == ["a", "b"]
    path = tmp_path / "records" / "a.json"
    path.write_text(json.dumps({**records[0], "name": "../../evil"}))
    with pytest.raises(DataError, match=r"a\.json is damaged; delete it and run again"):
        make_files(str(tmp_path), ["a", "b"], make, map)


def test_no_file_is_made_outside_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'\.\./evil' is no name of a file"):
        make_files(str(tmp_path / "output"), ["../evil"], make, map)
    assert not (tmp_path / "evil").exists()
