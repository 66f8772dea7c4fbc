"""One run at a time under a name, on a disk or in a bucket, whatever the clocks of the machines say.

``STORAGE/RUN/lease/00000007.json`` says who holds the name; the file of the highest number counts. Its holder writes a running number
into it every few seconds. Who wants the name watches: only when the file has not changed for a while, by the watcher's own clock, it
creates the file of the next number, which only one can. A holder that was displaced so learns it from the higher number.
"""

import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from medvlp.errors import ConfigurationError, DataError, TrainingError
from scaleout.io import storage

logger = logging.getLogger(__name__)

LEASE_FOLDER = "lease"


@dataclass(frozen=True)
class Pace:
    """How often a holder shows that it lives, and how long another one waits for that."""

    beat: float = 3.0
    """Seconds between two signs of life."""
    patience: float = 20.0
    """Seconds without one after which the name is free: several beats, for a holder may be slow without being dead."""


_PACE = Pace()


@dataclass(frozen=True, kw_only=True)
class Holder:
    """What the file says."""

    host: str
    pid: int
    since: str
    """By the holder's clock, for people."""
    token: str
    """No other holder has it."""
    beat: int = 0
    released: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@dataclass(frozen=True)
class Lease:
    """The right to write under a name. It travels to the workers, who ask before they write."""

    folder: str
    """URI of the folder of the leases of the run."""
    number: int

    def check(self) -> None:
        """Make sure that nobody took the name.

        Raises:
            TrainingError: somebody did, while this run gave no sign of life.
        """
        numbers = _numbers(self.folder)
        if not numbers or numbers[-1] != self.number:
            content = _read(Lease(self.folder, numbers[-1])) if numbers else None
            raise TrainingError(
                f"the name of {_run(self.folder)} was taken by {_describe(content or b'')} while this run gave no sign of life: "
                "it stops, and the other one goes on from the newest checkpoint"
            )


@contextmanager
def hold(run: str, pace: Pace = _PACE) -> Iterator[Lease]:
    """Hold the name of the run in the folder ``run`` for as long as the context lasts.

    Raises:
        ConfigurationError: somebody else holds it.
        DataError: storage does not answer.
    """
    folder = storage.join(run, LEASE_FOLDER)
    holder = Holder(host=socket.gethostname(), pid=os.getpid(), since=f"{datetime.now(UTC):%F %T} UTC", token=uuid.uuid4().hex)
    lease = _take(folder, holder, pace)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(lease, holder, pace, stop), name="lease", daemon=True)
    beating.start()
    try:
        yield lease
    finally:
        stop.set()
        beating.join(pace.patience)
        _release(lease, holder)


def _take(folder: str, holder: Holder, pace: Pace) -> Lease:
    """A lease with the next number, as soon as the one before is given back or dead."""
    while True:
        numbers = _numbers(folder)
        if numbers:
            _wait_for_end(Lease(folder, numbers[-1]), pace)
        lease = Lease(folder, numbers[-1] + 1 if numbers else 1)
        if storage.create_exclusively(_uri(lease), _content(holder)):
            # Others may have come and gone since the look at the folder: then there are higher numbers.
            if _numbers(folder)[-1] == lease.number:
                for number in numbers:
                    storage.delete(_uri(Lease(folder, number)))
                return lease
            storage.delete(_uri(lease))


def _wait_for_end(lease: Lease, pace: Pace) -> None:
    """Return when the holder has given the name back, or gave no sign of life for as long as patience lasts."""
    first = _read(lease)
    if first is None or _is_released(first):
        return
    run = _run(lease.folder)
    logger.info("the name of %s is held by %s: watching for up to %g s whether it lives", run, _describe(first), pace.patience)
    deadline = time.monotonic() + pace.patience
    while True:
        time.sleep(min(pace.beat, pace.patience) / 4)
        late = time.monotonic() > deadline  # before the look: a watcher that was stopped for a while looks once more
        current = _read(lease)
        if current is None or _is_released(current):
            return
        if current != first:
            raise ConfigurationError(f"{run} is being trained by {_describe(current)}: wait until it ends, stop it, or take another --name")
        if late:
            logger.info("no sign of life from %s: the name is free", _describe(first))
            return


def _beat(lease: Lease, holder: Holder, pace: Pace, stop: threading.Event) -> None:
    """Give signs of life until asked to stop, or displaced. Storage that is away for a while is borne."""
    beat, silent = 0, False
    while not stop.wait(pace.beat):
        beat += 1
        try:
            lease.check()
            storage.write_bytes(_uri(lease), _content(replace(holder, beat=beat)))
        except TrainingError as error:
            logger.error("%s", error)
            return
        except DataError as error:
            if not silent:
                logger.warning("the lease of this run cannot be renewed (%s); trying again every %g s", error, pace.beat)
            silent = True
        else:
            silent = False


def _release(lease: Lease, holder: Holder) -> None:
    """Give the name back, so that the next run need not wait. The file stays: numbers never go back."""
    try:
        lease.check()
        storage.write_bytes(_uri(lease), _content(replace(holder, released=True)))
    except (TrainingError, DataError) as error:
        logger.warning("the lease of this run is not given back (%s)", error)


def _run(folder: str) -> str:
    return folder.rpartition("/")[0]


def _numbers(folder: str) -> list[int]:
    """Numbers of all leases, ascending."""
    names = [name.removesuffix(".json") for name in storage.list_names(folder) if name.endswith(".json")]
    return sorted(int(name) for name in names if name.isdecimal())


def _read(lease: Lease) -> bytes | None:
    """The content of a lease; None if it is gone."""
    try:
        return storage.read_bytes(_uri(lease))
    except DataError:
        if storage.exists(_uri(lease)):
            raise
        return None


def _parse(content: bytes) -> Holder | None:
    """Who holds a lease; None of one whose holder died while it wrote the first time."""
    try:
        return Holder(**json.loads(content))
    except (ValueError, TypeError):
        return None


def _describe(content: bytes) -> str:
    return str(_parse(content) or "an unknown process")


def _is_released(content: bytes) -> bool:
    holder = _parse(content)
    return holder is not None and holder.released


def _uri(lease: Lease) -> str:
    return storage.join(lease.folder, f"{lease.number:08d}.json")


def _content(holder: Holder) -> bytes:
    return json.dumps(asdict(holder)).encode()
