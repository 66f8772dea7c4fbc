"""An MLflow server that tests stop and start."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from scaleout.local import free_ports


class MlflowServer:
    """``mlflow server`` on a free port of loopback; the store outlives a stop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        self.uri = f"http://127.0.0.1:{self._port}"

    def start(self, seconds: float = 120) -> None:
        """Start and wait until it answers."""
        store = ["--backend-store-uri", f"sqlite:///{self._folder}/server.db", "--artifacts-destination", str(self._folder / "artifacts")]
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self._port), "--workers", "1", *store]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + seconds
        while not self._answers():
            assert time.monotonic() < deadline, "the MLflow server did not start"
            assert self._process.poll() is None, "the MLflow server exited"
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server and its workers."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=1) as response:
                return bool(response.status == 200)
        except OSError:
            return False
