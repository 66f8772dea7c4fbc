"""What tests of whole jobs share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jobs.tiny import Artefacts


@pytest.fixture(scope="session")
def phantoms(phantom_shards: str, phantom_links: str, phantom_knowledge: Path) -> Artefacts:
    """Everything that a tiny run on phantoms reads."""
    return Artefacts(phantom_shards, phantom_links, str(phantom_knowledge))


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The storage of all runs of the session, as a user has one: making its tracking store takes seconds."""
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="session", autouse=True)
def no_configured_store() -> Iterator[None]:
    """The machine's own MLflow does not get the tests' runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield
