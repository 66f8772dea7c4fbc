"""Real tracking stores: an SQLite file, and an MLflow server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from scaleout.tracking.runs import open_client, resolve_tracking_uri
from tests.scaleout.tracking.server import MlflowServer


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[MlflowServer]:
    """A server that runs."""
    server = MlflowServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An SQLite store; making its tables takes seconds, so tests share it and use experiments of their own."""
    uri = resolve_tracking_uri(str(tmp_path_factory.mktemp("store")))
    open_client(uri).search_experiments()
    return uri
