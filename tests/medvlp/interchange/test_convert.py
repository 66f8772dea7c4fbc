"""Every parameter of METER, M3AE and ARL finds its place, and nothing else is let in."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from medvlp.errors import CheckpointError
from medvlp.interchange.convert import ENTITY_VECTORS, ImportReport, convert
from medvlp.model.config import ARLConfig
from medvlp.tasks.pretrain.module import PretrainingModule
from tests.medvlp import tiny
from tests.medvlp.interchange.authors import arl_state, m3ae_state, meter_state


def task_of(model: ARLConfig | None = None) -> PretrainingModule:
    torch.manual_seed(1)
    return PretrainingModule(model or tiny.model_config(), tiny.pretext_config(), tiny.bundle(), vocabulary=tiny.VOCABULARY, padding_id=1)


def converted(state: dict[str, Tensor], model: ARLConfig | None = None, **options: bool) -> tuple[dict[str, Tensor], ImportReport]:
    wanted = {name: parameter.shape for name, parameter in task_of(model).named_parameters()}
    return convert(state, wanted, model or tiny.model_config(), **options)


@pytest.mark.parametrize("matrix", ["lin", "lin_src"])
def test_all_of_arl_is_mapped(matrix: str) -> None:
    task = task_of()
    weights, report = converted(arl_state(task, matrix), entity_vectors=True)
    assert report.missing == ()
    assert all(torch.equal(weights[name], parameter) for name, parameter in task.named_parameters())
    assert len(report.mapped) + len(report.unused) == len(arl_state(task, matrix))
    assert report.unused["align_head.edge_index"] == "the graph comes with the knowledge bundle"


def test_entities_are_left_to_the_bundle() -> None:
    weights, report = converted(arl_state(task_of()))
    assert report.missing == (ENTITY_VECTORS,)
    assert "align_head.x" in report.unused
    assert ENTITY_VECTORS not in weights


@pytest.mark.parametrize(
    ("save", "heads"), [(m3ae_state, {"masked_language", "masked_image", "matching"}), (meter_state, {"masked_language", "matching"})]
)
def test_what_has_no_knowledge_starts_it_anew(save: Callable[[PretrainingModule], dict[str, Tensor]], heads: set[str]) -> None:
    task = task_of()
    weights, report = converted(save(task))
    assert {name.split(".")[0] for name in weights} == {"arl", *heads}
    assert all(torch.equal(value, task.get_parameter(name)) for name, value in weights.items())
    missing = [name for name in report.missing if name.startswith("arl.")]
    assert missing
    assert all("knowledge" in name for name in missing)


def test_positions_are_interpolated_to_the_image() -> None:
    model = tiny.model_config()
    larger = replace(model, vision=replace(model.vision, image_size=32))
    state = arl_state(task_of())
    # The decoder's positions are constants, so that only the encoder's are resized.
    weights, report = converted(state, larger)
    name = "arl.vision.embeddings.position_embedding.weight"
    assert report.interpolated == {name: "(5, 16) to (17, 16)"}
    assert torch.equal(weights[name][0], state["vision_encoder.visual.positional_embedding"][0])


def test_half_precision_becomes_single() -> None:
    weights, _ = converted({name: value.half() if value.is_floating_point() else value for name, value in arl_state(task_of()).items()})
    assert {value.dtype for value in weights.values()} == {torch.float32}


def test_the_knowledge_of_the_last_layer_can_be_left_out() -> None:
    model = tiny.model_config()
    theirs = replace(model, fusion=replace(model.fusion, last_layer_knowledge=True))
    _, report = converted(arl_state(task_of(theirs)))
    left_out = {name for name, reason in report.unused.items() if reason == "knowledge of the last layer, which no loss reads"}
    assert any(name.startswith("multi_modal_language_layers.2.knowledge_attention") for name in left_out)
    assert "multi_modal_language_layers.1.knowledge_intermediate.dense.weight" in left_out
    assert not any("fusion_output" in name for name in left_out)


def test_downstream_heads_are_left_out() -> None:
    state = arl_state(task_of()) | {"vqa_head.3.weight": torch.zeros(2, 2), "irtr_head.bias": torch.zeros(1)}
    assert converted(state)[1].unused["vqa_head.3.weight"] == "the head of a downstream task"


def altered(change: str) -> dict[str, Tensor]:
    state = arl_state(task_of())
    if change == "another name":
        state["vision_encoder.visual.adapter.weight"] = torch.zeros(2)
    elif change == "a layer less":
        state = {name: value for name, value in state.items() if "_layers.2." not in name}
    elif change == "a layer more":
        state |= {name.replace("_layers.2.", "_layers.3."): value for name, value in state.items() if "_layers.2." in name}
    elif change == "half a head":
        del state["mlm_head.bias"]
    elif change == "another width":
        state["multi_modal_language_proj.weight"] = torch.zeros(16, 24)
    elif change == "half of the knowledge":
        state = {name: value for name, value in state.items() if not name.startswith("align_head")}
    return state


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("another name", r"not a checkpoint of METER.*no parameters .*visual\.adapter\.weight"),
        ("a layer less", r"no weights for arl\.fusion\.layers\.2.* and \d+ more: set --model"),
        ("a layer more", r"has another size: arl\.fusion\.layers\.3\..*absent here"),
        ("half a head", r"no weights for masked_language\.output\.bias"),
        ("another width", r"arl\.text_projection\.weight is \(16, 24\) there, \(16, 16\) here"),
        ("half of the knowledge", r"no weights for arl\.knowledge"),
    ],
)
def test_surprises_are_refused(change: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        converted(altered(change))
