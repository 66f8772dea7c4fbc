"""Checkpoints travel while the run continues: one at a time, whole or not at all, and their errors are heard."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from medvlp.errors import DataError
from scaleout.checkpoint.read import verified_copy
from scaleout.checkpoint.store import PARTS_FOLDER, CheckpointStore, Written
from scaleout.checkpoint.upload import CheckpointUpload
from scaleout.engine.base import EngineConfig
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage
from tests.scaleout.engine.torch_engine import TorchEngine

FACTS: dict[str, Any] = {"position": 0, "skipped": 0, "workers": 1, "zero_stage": 0, "fingerprints": {}}


def engine() -> TorchEngine:
    task = nn.Linear(2, 1)
    optimiser = torch.optim.AdamW([{"name": "heads", "params": list(task.parameters()), "lr": 0.1}])
    return TorchEngine(task, optimiser, EngineConfig(1, 1, 0.0, 0, False, lambda step: 1.0))


class GatedStore(CheckpointStore):
    """A store whose gate is opened by hand."""

    gate = threading.Event()

    def upload(self, written: Written) -> None:
        assert self.gate.wait(60)
        super().upload(written)


@pytest.fixture
def gated(tmp_path: Path) -> GatedStore:
    """Its gate is closed."""
    GatedStore.gate = threading.Event()
    return GatedStore(str(tmp_path / "checkpoints"), keep=2)


def test_the_run_does_not_wait_for_what_is_on_its_way(gated: GatedStore) -> None:
    trained = engine()
    with CheckpointUpload(gated, ProcessGroup()) as upload:
        upload.save(trained, {"step": 1, **FACTS})
        saved = trained.weights()["weight"]
        with torch.no_grad():
            trained.task.weight.fill_(9.0)
        assert gated.newest() is None
        gated.gate.set()
    folder, record = gated.newest()
    assert record.step == 1
    fresh = engine()
    with verified_copy(folder, record) as local:
        fresh.load(local / "engine")
    assert torch.equal(fresh.weights()["weight"], saved), "what was saved is what was there when it was asked for"


def test_one_is_on_its_way_at_a_time(gated: GatedStore) -> None:
    with CheckpointUpload(gated, ProcessGroup()) as upload:
        upload.save(engine(), {"step": 1, **FACTS})
        threading.Timer(0.3, gated.gate.set).start()
        stall = upload.save(engine(), {"step": 2, **FACTS})
        assert stall > 0.2
        assert storage.exists(storage.join(gated.uri, "step-00000001", "COMPLETE.json"))
    assert gated.newest()[1].step == 2


@pytest.mark.parametrize("heard", ["at the next one", "at the end"])
def test_what_does_not_arrive_is_heard(tmp_path: Path, heard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "a file").write_text("")
    store = CheckpointStore(str(tmp_path / "a file" / "checkpoints"), keep=2)
    upload = CheckpointUpload(store, ProcessGroup())
    upload.save(engine(), {"step": 1, **FACTS})
    with pytest.raises(DataError, match=r"cannot write .*a file"):
        upload.save(engine(), {"step": 2, **FACTS}) if heard == "at the next one" else upload.__exit__(None)
    assert list((tmp_path / "temporary").iterdir()) == [], "a full disk stays full otherwise"


def test_a_run_that_fails_lets_the_last_one_arrive(gated: GatedStore) -> None:
    threading.Timer(0.3, gated.gate.set).start()
    upload = CheckpointUpload(gated, ProcessGroup())
    upload.save(engine(), {"step": 1, **FACTS})
    upload.__exit__(ZeroDivisionError)
    assert gated.newest()[1].step == 1


def test_it_counts_when_every_worker_has_brought_its_part(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path / "checkpoints"), keep=2)
    parts = []
    for rank in (0, 1):
        local = tmp_path / f"local-{rank}"
        local.mkdir()
        (local / f"of-{rank}").write_text(f"{rank}")
        parts.append(Written(local, ProcessGroup(rank, 2), {"step": 1, **FACTS, "workers": 2}, "attempt"))
    # A killed attempt left its lists, one of a file that is no longer there.
    left = storage.join(store.uri, "step-00000001", PARTS_FOLDER)
    for rank in (0, 1):
        storage.write_bytes(storage.join(left, f"killed-{rank:05d}.json"), json.dumps({"lost": {}}).encode())
    first = threading.Thread(target=store.upload, args=(parts[0],))
    first.start()
    first.join(0.3)
    assert first.is_alive()
    assert store.newest() is None
    store.upload(parts[1])
    first.join(60)
    folder, record = store.newest()
    assert set(record.files) == {"of-0", "of-1"}
    with verified_copy(folder, record) as local:
        assert {path.name for path in local.iterdir()} == {"of-0", "of-1", "COMPLETE.json"}
