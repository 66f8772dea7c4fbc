"""URIs: the same behaviour for a local folder and a bucket."""

import os
import threading
import uuid
from pathlib import Path

import pyarrow.parquet
import pytest

from medvlp.errors import ConfigurationError, DataError
from scaleout.io import storage


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh place, local and remote in turn."""
    if request.param == "local":
        return str(tmp_path)
    return storage.join(request.getfixturevalue("s3"), uuid.uuid4().hex)


def test_write_read_list_delete(root: str) -> None:
    uri = storage.join(root, "folder", "file.bin")
    assert not storage.exists(uri)
    assert storage.list_names(storage.join(root, "folder")) == []
    storage.write_bytes(uri, b"one")
    storage.write_bytes(uri, b"two!")
    storage.write_bytes(storage.join(root, "folder", "below", "deep"), b"")
    assert storage.exists(uri)
    assert storage.exists(storage.join(root, "folder"))
    assert storage.read_bytes(uri) == b"two!"
    assert storage.file_size(uri) == 4
    assert storage.list_names(storage.join(root, "folder")) == ["below", "file.bin"]
    storage.delete(uri)
    storage.delete(uri)
    assert storage.list_names(storage.join(root, "folder")) == ["below"]
    storage.delete(storage.join(root, "folder"))
    assert not storage.exists(storage.join(root, "folder"))


def test_a_missing_file_is_a_data_error_that_names_it(root: str) -> None:
    uri = storage.join(root, "nothing.tar")
    for action in (storage.read_bytes, storage.file_size):
        with pytest.raises(DataError, match=r"nothing\.tar: no such file"):
            action(uri)
    with pytest.raises(DataError, match=r"nothing\.tar"), storage.local_copy(uri):
        pass
    with pytest.raises(DataError, match=r"nothing\.tar"):
        storage.download_folder(uri, Path("unused"))


def test_folders_travel_there_and_back(root: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "below").mkdir(parents=True)
    (source / "a").write_bytes(b"a")
    (source / "below" / "b").write_bytes(b"b" * 1000)
    uri = storage.join(root, "copy")
    storage.upload_folder(source, uri)
    storage.download_folder(uri, tmp_path / "back")
    assert (tmp_path / "back" / "a").read_bytes() == b"a"
    assert (tmp_path / "back" / "below" / "b").read_bytes() == b"b" * 1000
    with storage.local_copy(uri) as folder:
        assert folder.name == "copy"
        assert (folder / "below" / "b").read_bytes() == b"b" * 1000
    with storage.local_copy(storage.join(uri, "a")) as file:
        assert file.read_bytes() == b"a"


@pytest.mark.parametrize("part", ["../x", "a/../../x", "/etc/passwd", "..", "a\0b"])
def test_no_name_leads_out_of_a_folder(root: str, part: str) -> None:
    with pytest.raises(DataError, match="is not a valid file or folder name in"):
        storage.join(root, part)


def test_an_object_whose_key_leads_out_of_the_folder_is_refused(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = storage.join(s3, uuid.uuid4().hex)
    storage.write_bytes(storage.join(uri, "good"), b"good")
    root = uri.removeprefix("s3://")
    monkeypatch.setattr("s3fs.S3FileSystem.find", lambda self, path, **_: [f"{root}/good", f"{root}/../../evil"])
    with pytest.raises(DataError, match=r"'\.\./\.\./evil' is not a valid file or folder name"):
        storage.download_folder(uri, tmp_path / "below" / "back")
    assert not list(tmp_path.glob("**/evil"))


def test_of_many_exclusive_writers_one_wins(root: str) -> None:
    uri = storage.join(root, "claim")
    wins: list[int] = []

    def claim(number: int) -> None:
        if storage.create_exclusively(uri, str(number).encode()):
            wins.append(number)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert storage.read_bytes(uri) == str(wins[0]).encode()


def test_arrow_reads_and_writes(root: str) -> None:
    filesystem, path = storage.arrow_filesystem(root)
    filesystem.create_dir(path)
    table = pyarrow.table({"n": [1, 2]})
    pyarrow.parquet.write_table(table, f"{path}/t.parquet", filesystem=filesystem)
    assert pyarrow.parquet.read_table(f"{path}/t.parquet", filesystem=filesystem).equals(table)


def test_writable_leaves_nothing_behind(root: str) -> None:
    storage.check_writable(root)
    assert storage.list_names(root) == []


def test_not_writable_says_what_to_do(tmp_path: Path, s3: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match=r"cannot write below .*choose another folder"):
        storage.check_writable(tmp_path / "file" / "below")
    with pytest.raises(ConfigurationError, match=r"no-such-bucket.*AWS_ENDPOINT_URL"):
        storage.check_writable("s3://no-such-bucket/folder")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = str(tmp_path / "file")
    storage.write_bytes(uri, b"old")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(DataError, match=r"cannot write .*file: No space left on device"):
        storage.write_bytes(uri, b"new")
    assert storage.read_bytes(uri) == b"old"
    assert storage.list_names(tmp_path) == ["file"]


def test_absolute_does_not_depend_on_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert storage.absolute("folder/") == str(tmp_path / "folder")
    assert storage.absolute(f"file://{tmp_path}/x") == f"{tmp_path}/x"
    assert storage.absolute("s3://bucket/folder/") == "s3://bucket/folder"
    assert storage.join("s3://bucket/", "a", "b") == "s3://bucket/a/b"
    with pytest.raises(ConfigurationError, match="gs://"):
        storage.absolute("gs://bucket/folder")


def test_an_absent_server_is_a_data_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDVLP_STORAGE_RETRY_SECONDS", "0.1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with pytest.raises(DataError, match="AWS_ENDPOINT_URL"):
        storage.read_bytes("s3://bucket/file")


@pytest.mark.parametrize(
    "address",
    [
        "localhost:9000",
        "  ",
        "s3://",
        "http://",
        "http://host:port",
        "http://host:99999",
        "http://[::1",
        "http://a b",
        "http://:9000",
        "//x",
    ],
)
def test_an_endpoint_that_is_no_address_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    with pytest.raises(ConfigurationError, match=r"AWS_ENDPOINT_URL is .*: take http://HOST:PORT or https://HOST"):
        storage.exists("s3://bucket/file")


def test_credentials_in_addresses_are_refused_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"^s3://bucket/file contains credentials.* set AWS_ACCESS_KEY_ID") as caught:
        storage.exists("s3://key:s3cr3t@bucket/file")
    assert "s3cr3t" not in str(caught.value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://key:s3cr3t@host:9000")
    with pytest.raises(ConfigurationError, match=r"^AWS_ENDPOINT_URL http://host:9000 contains credentials") as caught:
        storage.exists("s3://bucket/file")
    assert "s3cr3t" not in str(caught.value)


def test_a_null_byte_in_a_path_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="null byte"):
        storage.read_bytes(f"{tmp_path}/a\0b")


@pytest.mark.parametrize("seconds", ["soon", "-1", "nan", "inf"])
def test_a_retry_time_that_is_no_number_is_refused(seconds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MEDVLP_STORAGE_RETRY_SECONDS", seconds)
    with pytest.raises(ConfigurationError, match=r"MEDVLP_STORAGE_RETRY_SECONDS is .*: take a number of seconds"):
        storage.exists("s3://bucket/file")
