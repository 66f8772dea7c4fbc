"""A bucket in trouble: short ones are ridden out and told in one line, lasting ones end clearly, and nothing half is taken for whole."""

import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.io.retry import RETRY_VARIABLE, GaveUpError, retry
from tests.faulty_proxy import FaultyProxy, Kind, Trouble

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def proxy(s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """In front of the bucket's server."""
    proxy = FaultyProxy(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.uri)
    monkeypatch.setenv(RETRY_VARIABLE, "20")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    yield proxy
    proxy.close()


@pytest.fixture
def uri(s3: str) -> str:
    """A fresh place."""
    return storage.join(s3, uuid.uuid4().hex, "file")


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the user saw of it."""
    return [record.getMessage() for record in caplog.records if record.name == "scaleout.io.retry"]


TROUBLES: list[Trouble] = [
    Trouble("status", times=1, status=500),
    Trouble("status", times=1, status=503),
    Trouble("no answer", times=1),
    Trouble("lost answer", times=1),
    Trouble("cut body", "GET .*file", times=1),
]


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: f"{trouble.kind}-{trouble.status}")
def test_a_short_trouble_is_ridden_out(
    proxy: FaultyProxy, uri: str, trouble: Trouble, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_bytes(CONTENT)
    folder = uri.removesuffix("/file")
    actions = {
        "write": lambda: storage.write_bytes(uri, CONTENT),
        "read": lambda: storage.read_bytes(uri) == CONTENT,
        "look for": lambda: storage.exists(uri),
        "measure": lambda: storage.file_size(uri) == len(CONTENT),
        "list": lambda: storage.list_names(folder) == ["file"],
        "upload": lambda: storage.upload_folder(tmp_path / "there", folder),
        "download": lambda: storage.download_folder(folder, tmp_path / "back"),
        "delete": lambda: storage.delete(uri),
    }
    for name, action in actions.items():
        caplog.clear()
        again = Trouble(trouble.kind, trouble.requests, trouble.times, trouble.status)
        with proxy.in_trouble(again):
            assert action() in (None, True), name
        assert len(told(caplog)) <= 2, "a line for the trouble and one for its end"
    assert (tmp_path / "back" / "file").read_bytes() == CONTENT
    assert not storage.exists(uri)


def test_trouble_and_its_end_are_told_in_a_line_each(proxy: FaultyProxy, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    storage.write_bytes(uri, CONTENT)
    with proxy.in_trouble(Trouble("cut body", "GET", times=3)) as trouble:
        assert storage.read_bytes(uri) == CONTENT
    assert trouble.hits == 3
    first, last = told(caplog)
    assert first.startswith(f"cannot read {uri} (")
    assert first.endswith("trying again for up to 20 s")
    assert last.startswith("storage answers again, after ")


def test_a_body_that_is_always_cut_is_never_the_whole(
    proxy: FaultyProxy, uri: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    storage.write_bytes(uri, CONTENT)
    monkeypatch.setenv(RETRY_VARIABLE, "0.5")
    with proxy.in_trouble(Trouble("cut body", "GET .*file")):
        with pytest.raises(DataError, match=f"cannot read {uri}: .*the same command continues"):
            storage.read_bytes(uri)
        with pytest.raises(DataError, match=f"cannot read {uri}: "), storage.local_copy(uri):
            pass


@pytest.mark.parametrize("kind", ["status", "cut body", "no answer"])
def test_a_large_file_that_comes_in_parts(
    proxy: FaultyProxy, uri: str, kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3fs.S3FileSystem.default_block_size", 200_000)
    storage.write_bytes(uri, CONTENT)
    with proxy.in_trouble(Trouble(kind, "GET .*file", times=4)):
        assert storage.read_bytes(uri) == CONTENT
    with proxy.in_trouble(Trouble(kind, "GET .*file", times=4)) as trouble:
        storage.download_folder(uri.removesuffix("/file"), tmp_path / "back")
    assert trouble.hits == 4
    assert (tmp_path / "back" / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["status", "no answer"])
def test_a_lasting_trouble_ends_with_what_to_do(proxy: FaultyProxy, uri: str, kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.write_bytes(uri, CONTENT)
    monkeypatch.setenv(RETRY_VARIABLE, "0.5")
    for action in (storage.read_bytes, storage.exists, storage.list_names, storage.delete, lambda uri: storage.write_bytes(uri, b"new")):
        started = time.monotonic()
        with proxy.in_trouble(Trouble(kind)), pytest.raises(DataError, match=rf"cannot .* {uri}: .*AWS_ENDPOINT_URL.* the same command"):
            action(uri)
        assert time.monotonic() - started < 15
    assert storage.read_bytes(uri) == CONTENT


def test_what_fails_for_good_fails_at_once(proxy: FaultyProxy, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(DataError, match="no such file"):
        storage.read_bytes(uri)
    with pytest.raises(DataError, match="no-such-bucket"):
        storage.write_bytes("s3://no-such-bucket/file", b"")
    with proxy.in_trouble(Trouble("status", status=403)) as trouble, pytest.raises(DataError):
        storage.read_bytes(uri)
    assert trouble.hits == 1
    assert not told(caplog)


def test_an_exclusive_file_whose_answer_was_lost_is_ones_own(proxy: FaultyProxy, uri: str) -> None:
    with proxy.in_trouble(Trouble("lost answer", "PUT", times=1)) as trouble:
        assert storage.create_exclusively(uri, b"mine")
    assert trouble.hits == 1
    assert not storage.create_exclusively(uri, b"another's")
    assert storage.read_bytes(uri) == b"mine"


def test_a_slow_server_is_waited_for(proxy: FaultyProxy, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    with proxy.in_trouble(Trouble("delay", seconds=0.5)):
        storage.write_bytes(uri, CONTENT)
        assert storage.read_bytes(uri) == CONTENT
    assert not told(caplog)


def test_other_errors_pass_through() -> None:
    with pytest.raises(ZeroDivisionError):
        retry("divide", lambda: 1 // 0)


def test_it_is_tried_again_for_as_long_as_patience_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RETRY_VARIABLE, "5")
    up = threading.Event()
    threading.Timer(0.5, up.set).start()

    def call() -> str:
        if not up.is_set():
            raise ConnectionResetError("down")
        return "up"

    assert retry("ask", call) == "up"
    monkeypatch.setenv(RETRY_VARIABLE, "0")
    up.clear()
    with pytest.raises(GaveUpError, match="down; tried for 0 s"):
        retry("ask", call)
