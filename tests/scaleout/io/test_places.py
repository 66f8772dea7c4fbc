"""What names a place, and what names a folder in it."""

from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError
from medvlp.values import check_value
from scaleout.io.places import LocalPlace, Name, Place, absolute, check_name, parent


def test_a_place_is_the_same_from_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert absolute("runs") == absolute(Path("./runs")) == f"{tmp_path}/runs"
    assert absolute("~/runs") == "/home/me/runs"
    assert absolute("file:///data/runs") == absolute("/data/runs/") == "/data/runs"
    assert absolute("s3://bucket/runs/") == "s3://bucket/runs"
    assert absolute("s3://bucket") == "s3://bucket"
    assert absolute("/data/ünïcode, with spaces: and a colon") == "/data/ünïcode, with spaces: and a colon"
    assert absolute("run:1") == f"{tmp_path}/run:1"


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "gs://b/x", "hdfs://h/x", "http://h/x", "S3://b/x", "s3://", "s3:///x", "s3:/b/x", "s3:b", "s3://b/../x", "s3://.."),
        *(" s3://b", "/runs/s3://b", "file://host/x", "file://", "file:x", "~no-such-user/x"),
        *("a\0b", "s3://b/a\0b", "a\nb", "a\tb", "\udcff"),
    ],
)
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="is no place"):
        absolute(text)
    with pytest.raises(ConfigurationError, match=r"^storage: .* is no place"):
        check_value(Place, text, "storage")


def test_a_corpus_is_on_a_local_disk() -> None:
    check_value(LocalPlace, "data", "root")
    with pytest.raises(ConfigurationError, match="root is 's3://b/x': take a local path"):
        check_value(LocalPlace, "s3://b/x", "root")


@pytest.mark.parametrize("name", ["run", "run-1", "_a.b", "2024-01-01", "a" * 100, "A..b"])
def test_a_name_names_a_folder(name: str) -> None:
    check_value(Name, name, "name")


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "/x", "a/b", "a\\b", "a b", "a:b", "a\n", "a\tb", "a\0", "-a", "--", ".a", "é", "a\u0301", "٣", "a" * 101],
)
def test_what_cannot_name_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^name is .*: take at most 100 of A-Z a-z 0-9"):
        check_name(name, "name")


def test_the_folder_of_a_file() -> None:
    assert parent("/data/file.json") == "/data"
    assert parent("s3://bucket/file.json") == "s3://bucket"
    assert parent("/file") == "/"
    for uri in ("s3://bucket", "/"):
        with pytest.raises(ConfigurationError, match="is no file"):
            parent(uri)
