"""One holder at a time: while it lives others are refused, when it is dead one of them follows, and the displaced one is told."""

import json
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from medvlp.errors import ConfigurationError, TrainingError
from scaleout.checkpoint.lease import LEASE_FOLDER, Lease, Pace, hold
from scaleout.io import storage

QUICK = Pace(beat=0.05, patience=1.0)
DEAD = Pace(beat=1e6, patience=1.0)
"""Of a holder that never shows that it lives."""


@pytest.fixture(params=["disk", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The folder of a run."""
    return str(tmp_path / "run") if request.param == "disk" else storage.join(request.getfixturevalue("s3"), uuid.uuid4().hex, "run")


def abandoned(run: str) -> Lease:
    """A lease whose holder was killed."""
    with hold(run) as lease:
        content = storage.read_bytes(storage.join(lease.folder, "00000001.json"))
    storage.write_bytes(storage.join(lease.folder, "00000001.json"), content)
    return lease


@contextmanager
def signs_of_life(path: Path, holder: dict[str, Any]) -> Iterator[None]:
    """Of a holder somewhere else."""
    over = threading.Event()

    def beat() -> None:
        storage.write_bytes(path, json.dumps({**holder, "beat": time.monotonic_ns()}).encode())

    def live() -> None:
        while not over.wait(0.05):
            beat()

    beat()
    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_name_that_was_given_back_is_free_at_once(run: str) -> None:
    slow = Pace(beat=100, patience=100)
    started = time.monotonic()
    for number in (1, 2, 3):
        with hold(run, slow) as lease:
            lease.check()
            assert lease.number == number
            assert storage.list_names(lease.folder) == [f"{number:08d}.json"], "the old ones are cleared away"
    assert time.monotonic() - started < 50


def test_while_the_holder_lives_others_are_refused_and_told_who_it_is(run: str) -> None:
    with hold(run, QUICK) as lease:
        with pytest.raises(ConfigurationError, match=rf"{run} is being trained by process \d+ on .+, since 20.* UTC: .*another --name"):
            hold(run, QUICK).__enter__()
        lease.check()


def test_an_abandoned_name_is_free_after_a_while(run: str) -> None:
    left = abandoned(run)
    left.check()
    started = time.monotonic()
    with hold(run, QUICK) as lease:
        assert time.monotonic() - started > QUICK.patience
        lease.check()
        with pytest.raises(TrainingError, match=r"was taken by process \d+ on .* while this run sent no heartbeat"):
            left.check()


def test_a_displaced_holder_takes_nothing_back(run: str) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(hold(run, DEAD))
        with hold(run, QUICK) as second:
            stack.close()  # gives back what it no longer has
            with pytest.raises(ConfigurationError, match="is being trained by"):
                hold(run, QUICK).__enter__()
            second.check()
            with pytest.raises(TrainingError, match="was taken by"):
                first.check()


def test_of_many_that_want_an_abandoned_name_one_gets_it(run: str) -> None:
    abandoned(run)
    winners: list[int] = []
    refused: list[str] = []
    over = threading.Event()

    def want() -> None:
        try:
            with hold(run, Pace(beat=0.1, patience=2.0)) as lease:
                winners.append(lease.number)
                over.wait(30)
                lease.check()
        except ConfigurationError as error:
            refused.append(str(error))
        if len(refused) == 3:
            over.set()

    threads = [threading.Thread(target=want, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (winners, len(refused)) == ([2], 3)


def test_who_comes_too_late_with_an_old_number_does_not_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It slept between its look at the folder and its claim: meanwhile others came and went, and one holds number 5."""
    folder, look = tmp_path / LEASE_FOLDER, storage.list_names
    looks = iter([["00000001.json"]])
    monkeypatch.setattr(storage, "list_names", lambda uri: next(looks, None) or look(uri))
    with signs_of_life(folder / "00000005.json", {}), pytest.raises(ConfigurationError, match="is being trained by"):
        hold(str(tmp_path), QUICK).__enter__()
    assert look(folder) == ["00000005.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"host": 1}'])
def test_a_lease_whose_holder_died_while_it_wrote_is_abandoned(tmp_path: Path, content: bytes) -> None:
    storage.write_bytes(tmp_path / LEASE_FOLDER / "00000003.json", content)
    with hold(str(tmp_path), QUICK) as lease:
        assert lease.number == 4


def test_no_clock_of_another_machine_counts(tmp_path: Path) -> None:
    left = abandoned(str(tmp_path))
    path = Path(left.folder, "00000001.json")
    for since in ("1999-01-01 00:00:00 UTC", "2999-01-01 00:00:00 UTC"):
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "since": since}))
        with signs_of_life(path, json.loads(path.read_bytes())), pytest.raises(ConfigurationError, match=f"since {since}"):
            hold(str(tmp_path), QUICK).__enter__()
