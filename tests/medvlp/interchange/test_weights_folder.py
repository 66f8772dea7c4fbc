"""Imported weights on disk, and a task that starts from them."""

import json
from pathlib import Path

import pytest
import torch

from medvlp.errors import CheckpointError
from medvlp.interchange.weights_folder import REPORT_FILE, WEIGHTS_FILE, import_checkpoint, load_imported
from medvlp.tasks.pretrain.module import PretrainingModule
from tests.medvlp import tiny
from tests.medvlp.interchange.authors import arl_state, meter_state


def task(seed: int, **weights: float) -> PretrainingModule:
    torch.manual_seed(seed)
    return PretrainingModule(tiny.model_config(), tiny.pretext_config(**weights), tiny.bundle(), vocabulary=tiny.VOCABULARY, padding_id=1)


@pytest.fixture
def published(tmp_path: Path) -> PretrainingModule:
    """A model that was saved as ARL's checkpoint and as METER's, and imported from there."""
    found = task(1)
    for name, save in (("arl", arl_state), ("meter", meter_state)):
        torch.save({"state_dict": save(found)}, tmp_path / f"{name}.ckpt")
        import_checkpoint(tmp_path / f"{name}.ckpt", tmp_path / name, tiny.model_config(), tiny.pretext_config().masked_image)
    return found


def test_a_task_starts_from_arl(tmp_path: Path, published: PretrainingModule) -> None:
    started = task(2)
    vectors = started.arl.knowledge.embedding.weight.clone()
    assert load_imported(started, tmp_path / "arl") == ["arl.knowledge.embedding.weight"]
    assert torch.equal(started.arl.knowledge.embedding.weight, vectors)
    for name, parameter in started.named_parameters():
        assert name == "arl.knowledge.embedding.weight" or torch.equal(parameter, published.get_parameter(name)), name


def test_a_task_starts_from_meter_with_knowledge_of_its_own(tmp_path: Path, published: PretrainingModule) -> None:
    started = task(2)
    anew = load_imported(started, tmp_path / "meter")
    assert torch.equal(started.arl.text_projection.weight, published.arl.text_projection.weight)
    assert {name.split(".")[0] for name in anew} == {"arl", "masked_image", "image_alignment", "text_alignment"}


def test_heads_that_the_task_has_not_are_left_out(tmp_path: Path, published: PretrainingModule) -> None:
    assert load_imported(task(2, mim=0), tmp_path / "arl") == ["arl.knowledge.embedding.weight"]


def test_the_report_names_every_parameter(tmp_path: Path, published: PretrainingModule) -> None:
    record = json.loads((tmp_path / "arl" / REPORT_FILE).read_text())
    assert record["checkpoint"] == "arl.ckpt"
    assert record["mapped"].keys() | record["unused"].keys() == arl_state(published).keys()


def test_weights_of_another_size_are_refused(tmp_path: Path, published: PretrainingModule) -> None:
    started = task(2)
    started.arl.text_pooler = torch.nn.Linear(16, 8)
    with pytest.raises(CheckpointError, match=r"do not fit this model: arl\.text_pooler"):
        load_imported(started, tmp_path / "arl")


def test_a_changed_file_is_noticed(tmp_path: Path, published: PretrainingModule) -> None:
    path = tmp_path / "arl" / WEIGHTS_FILE
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.safetensors was changed or damaged"):
        load_imported(task(2), tmp_path / "arl")


def test_a_folder_without_weights_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="make them with jobs/import_weights"):
        load_imported(task(2), tmp_path)


def test_what_is_no_vision_and_language_model_is_refused(tmp_path: Path) -> None:
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="no word embeddings"):
        import_checkpoint(tmp_path / "a.pt", tmp_path / "b", tiny.model_config(), tiny.pretext_config().masked_image)
