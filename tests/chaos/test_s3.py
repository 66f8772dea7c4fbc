"""S3 in trouble under a run that reads its shards there and keeps its checkpoints there."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.io.retry import RETRY_VARIABLE
from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from tests.chaos.runs import At, longest_pause, resume
from tests.chaos.unbroken import Left, assert_as_unbroken, left_by
from tests.faults import Fault, record
from tests.faulty_proxy import FaultyProxy, Trouble
from tests.scaleout.train.tiny_run import TinyRun

pytestmark = pytest.mark.chaos

SETTING = "loop without Ray, shards and checkpoints on S3"


@pytest.fixture
def proxy(s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """In front of the bucket's server."""
    proxy = FaultyProxy(s3_server)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.uri)
    yield proxy
    proxy.close()


@pytest.fixture
def remote(config: RunConfig, s3: str, tmp_path: Path) -> RunConfig:
    """The run with everything on S3."""
    root = storage.join(s3, tmp_path.name)
    for name in ("shards", "links"):
        storage.upload_folder(Path(getattr(config.data, name)), storage.join(root, name))
    data = replace(config.data, shards=storage.join(root, "shards"), links=storage.join(root, "links"))
    return replace(config, data=data, storage=storage.join(root, "runs"))


@pytest.mark.parametrize(
    ("fault", "trouble", "seconds"),
    [
        ("every request is answered with 503 for 4 s", Trouble("status", status=503), 4),
        ("every connection is closed without an answer for 4 s", Trouble("no answer"), 4),
        ("every body is cut in the middle for 4 s", Trouble("cut body", "GET .*(tar|parquet)"), 4),
        ("the answers to ten writes are lost", Trouble("lost answer", "PUT", times=10), 600),
        ("every answer comes 0.1 s late", Trouble("delay", seconds=0.1), 600),
    ],
)
def test_a_short_trouble_is_ridden_out(
    remote: RunConfig, unbroken: Left, proxy: FaultyProxy, tmp_path: Path, fault: str, trouble: Trouble, seconds: float
) -> None:
    trouble = replace(trouble, hits=0)
    # In trouble while the second window of shards is read, and the checkpoint of step 6 is on its way.
    TinyRun(remote, curves=tmp_path, trackers=[At({5: lambda: proxy.trouble_for(seconds, trouble)})]).run()
    assert trouble.hits
    proxy.heal()
    assert_as_unbroken(left_by(run_folder(remote), tmp_path), unbroken)
    pause = longest_pause(tmp_path)
    outcome = "continues by itself, and reports it in one line" if trouble.kind != "delay" else "continues, slower"
    record(Fault(fault=f"S3: {fault}", setting=SETTING, outcome=outcome, lost_steps=0, recovery_seconds=pause))


@pytest.mark.parametrize(
    ("fault", "trouble", "said"),
    [
        (
            "the bodies of shards are cut for longer than the retries last",
            Trouble("cut body", "GET .*train-.*tar"),
            "cannot read s3://.*tar: ",
        ),
        ("checkpoints cannot be written for longer than the retries last", Trouble("status", "PUT .*step"), "cannot write s3://.*/step-"),
        ("the server is gone for longer than the retries last", Trouble("no answer"), "cannot (read|write|look for|list|delete) s3://"),
    ],
)
def test_a_lasting_trouble_ends_the_run_and_the_same_command_goes_on(
    remote: RunConfig,
    unbroken: Left,
    proxy: FaultyProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    trouble: Trouble,
    said: str,
) -> None:
    monkeypatch.setenv(RETRY_VARIABLE, "1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    started = TinyRun(remote, curves=tmp_path, trackers=[At({5: lambda: proxy.begin(trouble)})])
    with pytest.raises(DataError, match=rf"{said}.*AWS_ENDPOINT_URL.*the same command continues"):
        started.run()
    proxy.heal()
    assert 0 < started.store.newest()[1].step < unbroken.step
    resumed = resume(remote, curves=tmp_path)
    assert_as_unbroken(left_by(run_folder(remote), tmp_path), unbroken)
    outcome = "stops, names the URI and says what to do; then the same command continues"
    record(Fault(fault=f"S3: {fault}", setting=SETTING, outcome=outcome, lost_steps=resumed.lost_steps, recovery_seconds=resumed.seconds))


def test_checkpoints_that_come_cut_are_read_again(remote: RunConfig, unbroken: Left, proxy: FaultyProxy, tmp_path: Path) -> None:
    TinyRun(remote, curves=tmp_path).run(stop_at=4)
    with proxy.in_trouble(Trouble("cut body", "GET .*step-", times=3)) as trouble:
        resumed = resume(remote, curves=tmp_path)
    assert trouble.hits == 3
    assert_as_unbroken(left_by(run_folder(remote), tmp_path), unbroken)
    outcome = "reads them again by itself, and reports it in one line"
    fault = "S3: the files of the checkpoint to resume from come cut"
    record(Fault(fault=fault, setting=SETTING, outcome=outcome, lost_steps=resumed.lost_steps, recovery_seconds=resumed.seconds))
