"""Send a run's metrics and pictures to MLflow from a background thread: training neither waits for the server nor fails with it."""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from scaleout.tracking.delivery import Delivery
from scaleout.tracking.jsonlines import EVENTS_FILE, METRICS_FILE, JsonLinesTracker
from scaleout.tracking.records import Record
from scaleout.tracking.spool import SENT, Spool
from scaleout.tracking.tracker import RunStatus
from scaleout.tracking.unreachable import explain, unreachable_errors

logger = logging.getLogger(__name__)

_RECORDS_PER_READ = 500


class MlflowTracker(JsonLinesTracker):
    """Continues the MLflow run ``run_id`` from the files in ``folder``; each run has one writer, rank 0.

    The files are the record, and MLflow shows it. After an outage, the next success or the next start with this folder delivers the rest.

    Args:
        uri: the tracking store, see ``resolve_tracking_uri``.
        run_id: id returned by ``start_run``.
        folder: a local folder used only by this run.
        interval: seconds between two deliveries; records in between are sent in one request.
        retry_interval: seconds between two attempts while the server is down.
        patience: seconds for which ``finish`` tries to deliver the rest.
    """

    def __init__(
        self, uri: str, run_id: str, folder: Path, *, interval: float = 2.0, retry_interval: float = 15.0, patience: float = 60.0
    ) -> None:
        super().__init__(folder)
        self._uri = uri
        self._interval = interval
        self._retry_interval = retry_interval
        self._patience = patience
        self._spools = _spools(folder)
        self._delivery = Delivery(uri, run_id, folder)
        self._fault = ""
        self._closing = False
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._work, name="mlflow-tracker", daemon=True)
        self._thread.start()

    def _append(self, file: str, record: Record) -> None:
        self._spools[file].put(record)  # also a record that a full disk does not accept
        super()._append(file, record)

    def flush(self, timeout: float) -> bool:
        """Wait until everything is delivered; return whether it was."""
        self._wake.set()
        deadline = time.monotonic() + timeout
        return all(spool.wait_until_empty(deadline - time.monotonic()) for spool in self._spools.values())

    def finish(self, status: RunStatus) -> None:
        """Deliver the rest, if the server accepts it in time, and close the run."""
        super().finish(status)
        self._closing = True
        self._wake.set()
        self._thread.join(self._patience + 1)
        if waiting := sum(map(len, self._spools.values())):
            reason = self._fault or "there was no time to send them"
            logger.warning("MLflow lacks %d records of the run, which the same command sends again: %s", waiting, reason)

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(self._retry_interval if self._fault else self._interval)
            self._wake.clear()
            self._deliver()
        deadline = time.monotonic() + self._patience
        while not self._deliver() and time.monotonic() < deadline:
            time.sleep(1)

    def _deliver(self) -> bool:
        try:
            _drain(self._spools, self._delivery)
        except Exception as error:  # no fault of tracking may end the delivery, or training with it
            fault = explain(error, self._uri)
            if fault != self._fault:
                unknown = not isinstance(error, unreachable_errors())
                logger.warning("%s; records are kept on disk", fault, exc_info=unknown)
            self._fault = fault
        else:
            if self._fault:
                logger.warning("MLflow answers again; all records are delivered")
            self._fault = ""
        return not self._fault


def replay(uri: str, run_id: str, folder: Path) -> int:
    """Deliver the records that an earlier process could not; return their number.

    Args:
        uri: the tracking store.
        run_id: id of the run in it.
        folder: folder with the files of the run's tracker.

    Raises:
        Exception: one of ``unreachable_errors``; the server still does not answer, or the run is lost.
    """
    return _drain(_spools(folder), Delivery(uri, run_id, folder))


def deliver_anew(folder: Path) -> None:
    """Make the next delivery send everything in ``folder`` again, from the first record on."""
    for name in (METRICS_FILE, EVENTS_FILE):
        (folder / name).with_suffix(SENT).unlink(missing_ok=True)


def _spools(folder: Path) -> dict[str, Spool]:
    return {name: Spool(folder / name) for name in (METRICS_FILE, EVENTS_FILE)}


def _drain(spools: Mapping[str, Spool], delivery: Delivery) -> int:
    """Deliver all records, events after metrics, and return their number; on an error the rest stays."""
    delivered = 0
    for spool in spools.values():
        while records := spool.first(_RECORDS_PER_READ):
            sent = delivery.send(records)
            spool.acknowledge(sent)
            delivered += sent
    return delivered
