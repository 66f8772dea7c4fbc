"""An MLflow server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scaleout.tracking.server import MlflowServer


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[MlflowServer]:
    """A server that runs."""
    server = MlflowServer(tmp_path)
    server.start()
    yield server
    server.stop()
