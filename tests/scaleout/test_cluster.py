"""A cluster that is named but does not answer, and what a Ray that is started here needs."""

import socket
from collections.abc import Iterator

import pytest

from medvlp.errors import ConfigurationError
from scaleout import cluster, local
from scaleout.cluster import check_answers, named_cluster


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a server that accepts connections and says nothing."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience of a test."""
    for module in (cluster, local):
        monkeypatch.setattr(module, "ANSWER_SECONDS", 1.0)
    for variable in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(variable, raising=False)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "no.such.host.invalid:6379"])
def test_a_dead_cluster_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no Ray answered at RAY_ADDRESS={address} within 1 s; correct or unset"):
        check_answers(address, "RAY_ADDRESS")


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_server_that_is_no_ray_is_refused(scheme: str, mute: str) -> None:
    with pytest.raises(ConfigurationError, match=r"no Ray answered"):
        check_answers(scheme + mute, "RAY_ADDRESS")


@pytest.mark.parametrize("address", ["127.0.0.1", "head"])
def test_a_typing_error_is_named(address: str) -> None:
    with pytest.raises(ConfigurationError, match=f"RAY_ADDRESS={address} is no address of a running Ray: .*correct or unset"):
        check_answers(address, "RAY_ADDRESS")


@pytest.mark.parametrize(
    ("variable", "url"),
    [("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1"), ("RAY_ADDRESS", "http://127.0.0.1:1"), ("RAY_API_SERVER_ADDRESS", "http://[")],
)
def test_a_dead_job_server_is_refused(variable: str, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(variable, url)
    assert local.main(["submit", "--", "python", "-c", "pass"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"ConfigurationError: no Ray job server answers at {variable}={url} (")
    assert error.count("\n") == 1


def test_a_mute_job_server_is_refused(mute: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", f"http://{mute}")
    assert local.main(["submit", "--", "python", "-c", "pass"]) == 2
    assert "no Ray job server answers" in capsys.readouterr().err


def test_local_names_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert named_cluster() == ""
