"""Allow one run at a time per name, on a disk or in a bucket, without relying on synchronised clocks.

``STORAGE/RUN/lease/00000007.json`` states who holds the name; only the file with the highest number counts. Its holder writes an increasing
number into it every few seconds. A process that wants the name watches the file: if the file has not changed for a while by that process's
own clock, it creates the file with the next number, which only one process can do. The displaced holder learns this from the higher number.
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
from medvlp.json_values import parse_json, typed
from scaleout.io import storage

logger = logging.getLogger(__name__)

LEASE_FOLDER = "lease"


@dataclass(frozen=True)
class Pace:
    """How often a holder sends a heartbeat, and how long others wait for one."""

    beat: float = 3.0
    """Seconds between two heartbeats."""
    patience: float = 20.0
    """Seconds without a heartbeat after which the name is free: several beats, because a slow holder may be alive."""


_PACE = Pace()


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The content of a lease file."""

    host: str
    pid: int
    since: str
    """Start time by the holder's clock, for people."""
    token: str
    """Unique to this holder."""
    beat: int = 0
    released: bool = False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@dataclass(frozen=True)
class Lease:
    """The right to write under a name. It is sent to the workers, which check it before they write."""

    folder: str
    """URI of the folder of the leases of the run."""
    number: int

    def check(self) -> None:
        """Make sure that no other run took the name.

        Raises:
            TrainingError: another run took it while this one sent no heartbeat.
        """
        numbers = _numbers(self.folder)
        if not numbers or numbers[-1] != self.number:
            content = _read(Lease(self.folder, numbers[-1])) if numbers else None
            raise TrainingError(
                f"the name of {_run(self.folder)} was taken by {_describe(content or b'')} while this run sent no heartbeat: "
                "it stops, and the other one continues from the newest checkpoint"
            )


@contextmanager
def hold(run: str, pace: Pace = _PACE) -> Iterator[Lease]:
    """Hold the name of the run in the folder ``run`` inside the context.

    Raises:
        ConfigurationError: another process holds it.
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
    """Take the lease with the next number, as soon as the one before is released or dead."""
    while True:
        numbers = _numbers(folder)
        if numbers:
            _wait_for_end(Lease(folder, numbers[-1]), pace)
        lease = Lease(folder, numbers[-1] + 1 if numbers else 1)
        if storage.create_exclusively(_uri(lease), _content(holder)):
            # Others may have come and gone since the folder was listed: then there are higher numbers.
            if _numbers(folder)[-1] == lease.number:
                for number in numbers:
                    storage.delete(_uri(Lease(folder, number)))
                return lease
            storage.delete(_uri(lease))


def _wait_for_end(lease: Lease, pace: Pace) -> None:
    """Return when the holder has released the name, or sent no heartbeat for ``pace.patience`` seconds."""
    first = _read(lease)
    if first is None or _is_released(first):
        return
    run = _run(lease.folder)
    logger.info("the name of %s is held by %s: watching for up to %g s whether it is alive", run, _describe(first), pace.patience)
    deadline = time.monotonic() + pace.patience
    while True:
        time.sleep(min(pace.beat, pace.patience) / 4)
        late = time.monotonic() > deadline  # before reading: a watcher that was suspended for a while reads once more
        current = _read(lease)
        if current is None or _is_released(current):
            return
        if current != first:
            raise ConfigurationError(f"{run} is being trained by {_describe(current)}: wait for its end, stop it, or choose another --name")
        if late:
            logger.info("no heartbeat from %s: the name is free", _describe(first))
            return


def _beat(lease: Lease, holder: Holder, pace: Pace, stop: threading.Event) -> None:
    """Send heartbeats until asked to stop, or displaced. Tolerates temporary storage outages."""
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
                logger.warning("cannot renew the lease of this run (%s); trying again every %g s", error, pace.beat)
            silent = True
        else:
            silent = False


def _release(lease: Lease, holder: Holder) -> None:
    """Release the name, so that the next run need not wait. The file stays: numbers never decrease."""
    try:
        lease.check()
        storage.write_bytes(_uri(lease), _content(replace(holder, released=True)))
    except (TrainingError, DataError) as error:
        logger.warning("could not release the lease of this run (%s)", error)


def _run(folder: str) -> str:
    return folder.rpartition("/")[0]


def _numbers(folder: str) -> list[int]:
    """Return the numbers of all leases, ascending."""
    names = [name.removesuffix(".json") for name in storage.list_names(folder) if name.endswith(".json")]
    return sorted(int(name) for name in names if name.isdecimal())


def _read(lease: Lease) -> bytes | None:
    """Read the content of a lease; return None if it is gone."""
    try:
        return storage.read_bytes(_uri(lease))
    except DataError:
        if storage.exists(_uri(lease)):
            raise
        return None


def _parse(content: bytes) -> Holder | None:
    """Parse the holder of a lease; return None if the holder died during its first write."""
    try:
        return typed(Holder, parse_json(content))
    except ValueError:
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
