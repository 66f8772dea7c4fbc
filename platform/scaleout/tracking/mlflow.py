"""Send a run's metrics and pictures to MLflow from a background thread: training neither waits for the server nor fails with it."""

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from medvlp.configuration import flat
from scaleout.tracking.delivery import Delivery
from scaleout.tracking.pictures import Picture, picture_key
from scaleout.tracking.records import encode_metrics
from scaleout.tracking.runs import redacted
from scaleout.tracking.spool import Spool
from scaleout.tracking.tracker import RunStatus

logger = logging.getLogger(__name__)

_RECORDS_PER_READ = 500


class MlflowTracker:
    """Continues the MLflow run ``run_id``; each run has one writer, rank 0.

    Everything goes through a spool on disk until the server has it: after an outage, the next success or the next start with the same spool
    folder delivers the rest.

    Args:
        uri: the tracking store, see ``resolve_tracking_uri``.
        run_id: id returned by ``start_run``.
        spool: a local folder used only by this run.
        interval: seconds between two deliveries; records in between are sent in one request.
        retry_interval: seconds between two attempts while the server is down.
        patience: seconds for which ``finish`` tries to deliver the rest.
    """

    def __init__(
        self, uri: str, run_id: str, spool: Path, *, interval: float = 2.0, retry_interval: float = 15.0, patience: float = 60.0
    ) -> None:
        self._uri = uri
        self._interval = interval
        self._retry_interval = retry_interval
        self._patience = patience
        self._spool = Spool(spool)
        self._delivery = Delivery(uri, run_id)
        self._reachable = True
        self._closing = False
        self._wake = threading.Event()
        self._spool.put({"kind": "status", "status": RunStatus.RUNNING.value})
        self._thread = threading.Thread(target=self._work, name="mlflow-tracker", daemon=True)
        self._thread.start()

    def params(self, values: Mapping[str, object]) -> None:
        """Nested mappings become dotted names."""
        self._spool.put({"kind": "params", "values": {name: str(value) for name, value in flat(values)}})

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """See ``Tracker``; returns at once."""
        self._spool.put({"kind": "metrics", "time": _now(), "step": step, "metrics": encode_metrics(values)})

    def picture(self, name: str, picture: Picture, step: int) -> None:
        """See ``Tracker``; the picture is encoded here and sent later."""
        path = self._spool.keep_picture(picture)
        self._spool.put({"kind": "picture", "time": _now(), "step": step, "name": picture_key(name), "path": str(path)})

    def artifact(self, path: Path, folder: str = "") -> None:
        """See ``Tracker``; the file is read when it is sent, so it must stay."""
        self._spool.put({"kind": "artifact", "path": str(path.absolute()), "folder": folder})

    def tags(self, values: Mapping[str, str]) -> None:
        """See ``Tracker``."""
        self._spool.put({"kind": "tags", "values": dict(values)})

    def flush(self, timeout: float) -> bool:
        """Wait until everything is delivered; return whether it was."""
        self._wake.set()
        return self._spool.wait_until_empty(timeout)

    def finish(self, status: RunStatus) -> None:
        """Deliver the rest, if the server accepts it in time, and close the run."""
        self._spool.put({"kind": "status", "status": status.value})
        self._closing = True
        self._wake.set()
        self._thread.join(self._patience + 1)
        if waiting := len(self._spool):
            logger.warning("%d records for MLflow remain in the run's spool; the same command sends them when the server is up", waiting)

    def _work(self) -> None:
        while not self._closing:
            self._wake.wait(self._interval if self._reachable else self._retry_interval)
            self._wake.clear()
            self._deliver()
        deadline = time.monotonic() + self._patience
        while not self._deliver() and time.monotonic() < deadline:
            time.sleep(1)
        self._spool.close()

    def _deliver(self) -> bool:
        try:
            drain(self._spool, self._delivery)
        except Exception as error:  # MLflow passes on any error of its database driver, HTTP library or server
            if self._reachable:
                logger.warning("MLflow at %s does not answer (%s); records are kept on disk", redacted(self._uri), type(error).__name__)
            self._reachable = False
        else:
            if not self._reachable:
                logger.warning("MLflow answers again; all records are delivered")
            self._reachable = True
        return self._reachable


def replay(uri: str, run_id: str, spool: Path) -> int:
    """Deliver what an earlier process left in its spool folder; return the number of records.

    Raises:
        Exception: the server still does not answer; undelivered records stay in the spool.
    """
    remainder = Spool(spool)
    try:
        return drain(remainder, Delivery(uri, run_id))
    finally:
        remainder.close()


def drain(spool: Spool, delivery: Delivery) -> int:
    """Move all records from the spool to MLflow and return their number; on an error the rest stays."""
    delivered = 0
    while records := spool.first(_RECORDS_PER_READ):
        sent = delivery.send(records)
        spool.acknowledge(sent)
        delivered += sent
    return delivered


def _now() -> int:
    """Return milliseconds since the epoch, as in MLflow."""
    return time.time_ns() // 1_000_000
