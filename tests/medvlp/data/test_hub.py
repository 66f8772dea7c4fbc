"""A name that is on no disk is looked up once, and quickly."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from huggingface_hub import constants
from transformers import RobertaModel

from medvlp.data.hub import reads_only_local_files
from medvlp.data.tokenizer import load_tokenizer
from medvlp.errors import ConfigurationError
from medvlp.model.hugging_face import load_published

AT_ONCE = 15
"""Seconds, on a busy machine; the retries of transformers take three times as long."""


class Hub(BaseHTTPRequestHandler):
    """A hub with one model."""

    def do_HEAD(self) -> None:
        self.send_response(200 if self.path == "/api/models/some/model" else 404)
        self.end_headers()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    server.server_close()


@pytest.fixture
def no_hub(hub: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


def test_the_hub_is_asked_once(hub: None, tmp_path: Path) -> None:
    assert not reads_only_local_files("some/model")
    assert reads_only_local_files(str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"there is no folder typo, and no model of this name on http://127"):
        reads_only_local_files("typo")
    with pytest.raises(ConfigurationError, match=r"there is no folder a/b/c, and it is no name of a model"):
        reads_only_local_files("a/b/c")


def test_offline_nothing_is_asked(no_hub: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert reads_only_local_files("some/model")
    with pytest.raises(ConfigurationError, match="no tokenizer at some/model"):
        load_tokenizer("some/model")


def test_a_hub_that_does_not_answer_is_reported_at_once(no_hub: None) -> None:
    started = time.monotonic()
    with pytest.raises(ConfigurationError, match=r"no folder typo, and the Hugging Face hub cannot be asked: http://\S+:9 does not"):
        load_tokenizer("typo")
    with pytest.raises(ConfigurationError, match="no folder typo"):
        load_published(RobertaModel, "typo")
    assert time.monotonic() - started < AT_ONCE


def test_a_model_in_the_cache_needs_no_hub(no_hub: None) -> None:
    folder = Path(constants.HF_HUB_CACHE, "models--some--model")
    (folder / "snapshots" / "1234").mkdir(parents=True)
    (folder / "snapshots" / "1234" / "config.json").write_text("{}")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("1234")
    assert reads_only_local_files("some/model")
