"""Manifests: what they name lies in their folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from medvlp.errors import DataError
from scaleout.io.manifest import MANIFEST_FILE, read_manifest, write_manifest
from scaleout.io.record_table import RecordTable


@dataclass(frozen=True)
class File:
    """A record with nothing but a name."""

    name: str


def load(folder: Path, *names: str) -> list[File]:
    """The records, once written."""
    write_manifest(str(folder), {"version": 1, "fingerprint": "f"}, RecordTable.of(File, map(File, names)))
    return list(read_manifest(str(folder), File, 1, {}, "files", "jobs/make.py")[1])


def test_files_of_any_plain_name_are_read(tmp_path: Path) -> None:
    names = ("train-00000.tar", "held-out set-00000.tar", "訓練-00000.parquet", "files/1.tar")
    assert load(tmp_path, *names) == [File(name) for name in names]


@pytest.mark.parametrize("name", ["../x.tar", "/etc/passwd", "a/../../b.tar", "a//b.tar", "..", ".hidden", "", "a\\b", "a\0.tar"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"index\.parquet was altered: .* is not a file name; make the files again with jobs/make\.py"):
        load(tmp_path, "train-00000.tar", name)


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"version": 1}',
        '{"version": null}',
        '{"version": 1, "fingerprint": null, "counts": {}}',
        "null",
        '{"version": 1, "fingerprint": "f", "counts": null}',
        '{"version": 1, "fingerprint": "f", "counts": {"a": "b"}}',
    ],
)
def test_wrong_types_and_deep_nesting_are_damage(tmp_path: Path, content: str) -> None:
    load(tmp_path)
    (tmp_path / MANIFEST_FILE).write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json is damaged \(.*\); make the files again with jobs/make\.py"):
        read_manifest(str(tmp_path), File, 1, {"counts": Mapping[str, int]}, "files", "jobs/make.py")
