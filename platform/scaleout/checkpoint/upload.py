"""Upload checkpoints to storage during the next steps: at most one at a time, and errors are raised later."""

import threading
import time
from collections.abc import Mapping
from typing import Any

from scaleout.checkpoint.store import CheckpointStore, Written
from scaleout.engine.base import Engine
from scaleout.engine.process_group import ProcessGroup

_GRACE_SECONDS = 60.0
"""Seconds to wait for a running upload when the run fails."""


class CheckpointUpload:
    """The uploads of one worker. On exit it waits for the running upload; if the run has failed, for at most a minute."""

    def __init__(self, store: CheckpointStore, processes: ProcessGroup):
        self._store, self._processes = store, processes
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> "CheckpointUpload":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._wait()
            self._processes.barrier()  # no worker leaves before the first one has completed the checkpoint
        elif self._thread is not None:
            self._thread.join(_GRACE_SECONDS)

    def save(self, engine: Engine, progress: Mapping[str, Any]) -> float:
        """Write a checkpoint to the local disk, all workers together, and start to upload it.

        Returns:
            The seconds for which training was interrupted.

        Raises:
            DataError: the previous upload failed.
        """
        started = time.perf_counter()
        self._wait()
        written = self._store.write(engine, self._processes, progress)
        # A daemon thread: a worker whose peers died does not wait for their uploads.
        self._thread = threading.Thread(target=self._upload, args=(written,), name="checkpoint", daemon=True)
        self._thread.start()
        return time.perf_counter() - started

    def _wait(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error

    def _upload(self, written: Written) -> None:
        try:
            self._store.upload(written)
        except BaseException as error:  # noqa: BLE001
            self._error = error  # the next call raises it
