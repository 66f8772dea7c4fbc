"""Checkpoints count as a whole or not at all, on a disk and on S3."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from medvlp.errors import CheckpointError, DamagedCheckpointError
from scaleout.checkpoint.read import load_training_state, read_weights, verified_copy
from scaleout.checkpoint.record import COMPLETE_FILE, ENGINE_FOLDER, WEIGHTS_FILE, read_record
from scaleout.checkpoint.store import CheckpointStore
from scaleout.engine.base import EngineConfig
from scaleout.engine.layout import Layout
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage
from tests.scaleout.engine.torch_engine import TorchEngine


@pytest.fixture(params=["disk", "s3"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a run keeps its checkpoints."""
    if request.param == "disk":
        return str(tmp_path / "run" / "checkpoints")
    return storage.join(request.getfixturevalue("s3"), request.node.name.replace("[", "-").replace("]", ""), "checkpoints")


def engine(value: float = 1.0, zero_stage: int = 2, bf16: bool = False) -> TorchEngine:
    task = nn.Linear(2, 1)
    nn.init.constant_(task.weight, value)
    optimiser = torch.optim.AdamW([{"name": "heads", "params": list(task.parameters()), "lr": 0.1}])
    return TorchEngine(task, optimiser, EngineConfig(1, 1, 0.0, zero_stage, bf16, lambda step: 1.0))


def save(uri: str, step: int, keep: int = 2, value: float = 1.0) -> CheckpointStore:
    store = CheckpointStore(uri, keep)
    facts = {"step": step, "position": 8 * step, "skipped": 1, "workers": 1, "zero_stage": 2, "fingerprints": {"shards": "abc"}}
    store.save(engine(value), ProcessGroup(), facts)
    return store


def test_what_is_saved_is_loaded(uri: str) -> None:
    folder, record = save(uri, 5, value=3.0).newest()
    assert storage.base_name(folder) == "step-00000005"
    assert (record.step, record.position, record.skipped, record.workers, record.zero_stage) == (5, 40, 1, 1, 2)
    assert record.fingerprints == {"shards": "abc"}
    assert set(record.files) == {WEIGHTS_FILE, f"{ENGINE_FOLDER}/engine.pt"}
    fresh = engine(9.0)
    load_training_state(fresh, folder, record, ProcessGroup())
    assert fresh.task.weight.tolist() == [[3.0, 3.0]]
    assert read_weights(folder)["weight"].tolist() == [[3.0, 3.0]]


def test_no_checkpoint_is_none(uri: str) -> None:
    assert CheckpointStore(uri, 2).newest() is None


def test_a_folder_without_its_manifest_does_not_exist(uri: str) -> None:
    save(uri, 1)
    store = save(uri, 2)
    storage.delete(storage.join(uri, "step-00000002", COMPLETE_FILE))
    assert store.newest()[1].step == 1
    with pytest.raises(CheckpointError, match="not a complete checkpoint"):
        read_weights(storage.join(uri, "step-00000002"))


def test_what_a_killed_worker_left_is_written_over(uri: str) -> None:
    storage.write_bytes(storage.join(uri, "step-00000003", ENGINE_FOLDER, "engine.pt"), b"half")
    storage.write_bytes(storage.join(uri, "step-00000003", ENGINE_FOLDER, "of_another_worker.pt"), b"half")
    folder, record = save(uri, 3).newest()
    load_training_state(engine(), folder, record, ProcessGroup())


@pytest.mark.parametrize("keep", [1, 2])
def test_the_newest_are_kept(uri: str, keep: int) -> None:
    for step in (9, 10, 100, 200):
        save(uri, step, keep)
    assert storage.list_names(uri) == ["step-00000100", "step-00000200"][2 - keep :]


def test_older_incomplete_folders_go_and_newer_ones_stay(uri: str) -> None:
    for step in (1, 9):
        storage.write_bytes(storage.join(uri, f"step-{step:08d}", "half"), b"")
    for step in (2, 3, 4):
        save(uri, step)
    assert storage.list_names(uri) == ["step-00000003", "step-00000004", "step-00000009"]


@pytest.mark.parametrize(("metric", "kept"), [("val/accuracy", [2, 5, 6]), ("val/loss", [3, 5, 6]), ("val/other", [5, 6]), (None, [5, 6])])
def test_the_best_is_kept_beside_the_newest(tmp_path: Path, metric: str | None, kept: list[int]) -> None:
    store = CheckpointStore(str(tmp_path), 2, metric)
    facts = {"skipped": 0, "workers": 1, "zero_stage": 2, "fingerprints": {}}
    for step, (accuracy, loss) in enumerate([(0.5, 0.5), (0.9, 0.4), (0.7, 0.1), (float("nan"), float("nan")), (0.8, 0.2)], start=1):
        validation = {"val/accuracy": accuracy, "val/loss": loss}
        store.save(engine(), ProcessGroup(), {"step": step, "position": step, "validation": validation, **facts})
    # Not validated.
    store.save(engine(), ProcessGroup(), {"step": 6, "position": 6, **facts})
    assert storage.list_names(str(tmp_path)) == [f"step-{step:08d}" for step in kept]
    assert store.newest()[1].step == 6


def test_the_newest_of_equals_is_the_best_and_a_damaged_one_is_not(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path), 1, "val/accuracy")
    facts = {"position": 0, "skipped": 0, "workers": 1, "zero_stage": 2, "fingerprints": {}}
    for step, accuracy in [(1, 0.9), (2, 0.9), (3, 0.1)]:
        store.save(engine(), ProcessGroup(), {"step": step, "validation": {"val/accuracy": accuracy}, **facts})
    assert storage.list_names(str(tmp_path)) == ["step-00000002", "step-00000003"]
    (tmp_path / "step-00000002" / COMPLETE_FILE).write_text("{")
    store.save(engine(), ProcessGroup(), {"step": 4, "validation": {"val/accuracy": 0.2}, **facts})
    assert storage.list_names(str(tmp_path)) == ["step-00000004"]


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_a_damaged_file_is_refused_and_named(uri: str, damage: str) -> None:
    name = f"{ENGINE_FOLDER}/engine.pt"
    folder, record = save(uri, 1).newest()
    path = storage.join(folder, *name.split("/"))
    if damage == "missing":
        storage.delete(path)
    else:
        content = bytearray(storage.read_bytes(path))
        content[len(content) // 2] ^= 1
        storage.write_bytes(path, bytes(content))
    with pytest.raises(CheckpointError, match=f"{name} .*{damage}"):
        load_training_state(engine(), folder, record, ProcessGroup())


@pytest.mark.parametrize("damage", ["altered", "missing"])
def test_damaged_weights_are_refused_and_named(uri: str, damage: str) -> None:
    folder, record = save(uri, 1).newest()
    path = storage.join(folder, WEIGHTS_FILE)
    if damage == "missing":
        storage.delete(path)
    else:
        storage.write_bytes(path, storage.read_bytes(path) + b"x")
    with pytest.raises(CheckpointError, match=f"{WEIGHTS_FILE} .*{damage}"):
        read_weights(folder)
    load_training_state(engine(), folder, record, ProcessGroup())


def test_a_record_that_names_files_elsewhere_is_refused(tmp_path: Path) -> None:
    save(str(tmp_path), 1)
    file = tmp_path / "step-00000001" / COMPLETE_FILE
    file.write_text(file.read_text().replace(WEIGHTS_FILE, f"../../{WEIGHTS_FILE}"))
    with pytest.raises(CheckpointError, match="lies outside of it"):
        read_record(str(file.parent))


@pytest.mark.parametrize(("name", "value"), [("files", None), ("fingerprints", None), ("step", "x"), ("workers", None), ("version", None)])
def test_a_record_of_other_types_is_damaged(tmp_path: Path, name: str, value: object) -> None:
    save(str(tmp_path), 1)
    file = tmp_path / "step-00000001" / COMPLETE_FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), name: value}))
    with pytest.raises(DamagedCheckpointError, match=r"COMPLETE\.json is damaged"):
        read_record(str(file.parent))


def test_a_damaged_checkpoint_names_the_others_of_its_run(tmp_path: Path) -> None:
    for step in (1, 2, 3):
        store = save(str(tmp_path), step, keep=3)
    (tmp_path / "step-00000003" / WEIGHTS_FILE).write_bytes(b"")
    (tmp_path / "step-00000002" / COMPLETE_FILE).write_text("[" * 100_000)
    others = r"name another one of its run with --start_checkpoint \(.*--checkpoint\): "
    with pytest.raises(DamagedCheckpointError, match=rf"was altered; restore the checkpoint from a copy, or {others}1, 2$"):
        read_weights(store.find("last")[0])
    with pytest.raises(DamagedCheckpointError, match=rf"nested too deeply.*; restore the checkpoint from a copy, or {others}1, 3$"):
        store.find("2")


def test_only_the_wanted_files_are_checked(uri: str) -> None:
    folder, record = save(uri, 1).newest()
    storage.write_bytes(storage.join(folder, ENGINE_FOLDER, "engine.pt"), b"altered")
    with verified_copy(folder, record, [WEIGHTS_FILE]) as local:
        assert (local / WEIGHTS_FILE).exists()


@pytest.mark.parametrize(
    ("zero_stage", "bf16", "said"),
    [
        (3, False, "ZeRO stage 3 in fp32 cannot read: continue with --scale.zero_stage 2"),
        (2, True, "ZeRO stage 2 in bf16 cannot read: continue with --scale.precision fp32"),
        (0, True, "ZeRO stage 0 in bf16 cannot read: continue with --scale.zero_stage 2 --scale.precision fp32"),
    ],
)
def test_another_layout_is_refused_with_the_way_on(tmp_path: Path, zero_stage: int, bf16: bool, said: str) -> None:
    folder, record = save(str(tmp_path), 1).newest()
    assert record.layout == Layout(2, "fp32")
    with pytest.raises(CheckpointError) as refused:
        load_training_state(engine(zero_stage=zero_stage, bf16=bf16), folder, record, ProcessGroup())
    assert str(refused.value) == f"{folder} was written with ZeRO stage 2 in fp32, which {said}"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"3", b'{"version": 2}', b'{"version": 1, "unknown": 2}', b"\xff"])
def test_a_damaged_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    store = save(str(tmp_path), 1)
    (tmp_path / "step-00000001" / COMPLETE_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{COMPLETE_FILE} is damaged"):
        store.newest()


def test_the_manifest_is_written_last_and_names_every_file(tmp_path: Path) -> None:
    save(str(tmp_path), 1)
    folder = tmp_path / "step-00000001"
    files = {path.relative_to(folder).as_posix(): path.stat() for path in folder.rglob("*") if path.is_file()}
    manifest = files.pop(COMPLETE_FILE)
    record = read_record(str(folder))
    assert {name: facts["bytes"] for name, facts in record.files.items()} == {name: found.st_size for name, found in files.items()}
    assert manifest.st_mtime_ns >= max(found.st_mtime_ns for found in files.values())


def test_a_record_without_a_precision_is_of_fp32(tmp_path: Path) -> None:
    save(str(tmp_path), 1)
    file = tmp_path / "step-00000001" / COMPLETE_FILE
    content = json.loads(file.read_text())
    file.write_text(json.dumps({name: value for name, value in content.items() if name != "precision"}))
    assert read_record(str(file.parent)).layout == Layout(2, "fp32")
