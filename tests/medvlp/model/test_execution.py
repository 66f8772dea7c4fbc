"""Recomputed activations and compiled blocks: the same step, with less memory or other kernels."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn
from transformers.modeling_layers import GradientCheckpointingLayer

from medvlp.data.batch import Batch
from medvlp.model.execution import ExecutionConfig, configure_execution
from medvlp.model.fusion import FusionLayer
from medvlp.tasks.vqa.batch import synthetic_questions
from medvlp.tasks.vqa.module import QuestionAnsweringModule
from tests.medvlp.tiny import NAMES, VOCABULARY, bundle, model_config, pretrain_batch, pretraining_module, stream_row
from tests.medvlp.tiny import collate as pretrain_collate

RECOMPUTED = ExecutionConfig(activation_checkpointing=True)
ANSWERS = 3

MakeTask = Callable[[float], nn.Module]


def question_answering_task(dropout: float) -> QuestionAnsweringModule:
    torch.manual_seed(0)
    return QuestionAnsweringModule(model_config(dropout), bundle(), answers=ANSWERS, vocabulary=VOCABULARY, padding_id=1)


def questions(size: int = 6) -> Batch:
    sizes = {"image_size": 16, "width": 16, "entities": 4, "vocabulary": VOCABULARY, "graph": len(NAMES)}
    return synthetic_questions(size, answers=ANSWERS, **sizes)


TASKS = [
    pytest.param(lambda dropout: pretraining_module(model_config(dropout)), pretrain_batch, id="pretraining"),
    pytest.param(question_answering_task, questions, id="question answering"),
]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """The order of sums must not depend on who else works."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def gradients(task: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients of one step; dropout and patch masks from one seed."""
    torch.manual_seed(1)
    task.zero_grad()
    loss = task(batch).loss
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}


def kept_bytes(task: nn.Module, batch: Batch) -> int:
    """What autograd keeps from forward to backward, each storage counted once, parameters left out."""
    own = {p.untyped_storage().data_ptr() for p in task.parameters()}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = task(batch).loss
    total = sum(storage.nbytes() for storage in kept.values())
    loss.backward()
    return total


def count_calls(task: nn.Module) -> Counter[str]:
    """How often every module is entered from now on."""
    calls: Counter[str] = Counter()
    for name, module in task.named_modules():
        module.register_forward_pre_hook(lambda *_, name=name: calls.update([name]))
    return calls


@pytest.mark.parametrize(("make_task", "make_batch"), TASKS)
def test_a_recomputed_step_is_the_same_step(make_task: MakeTask, make_batch: Callable[[], Batch]) -> None:
    plain, recomputed, batch = make_task(0.1), make_task(0.1), make_batch()
    configure_execution(recomputed, RECOMPUTED)
    loss, expected = gradients(plain, batch)
    found_loss, found = gradients(recomputed, batch)
    assert torch.equal(found_loss, loss)
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []
    # So that dropout took part.
    assert not torch.equal(make_task(0.0)(batch).loss, loss)


@pytest.mark.parametrize(("make_task", "make_batch"), TASKS)
def test_every_block_is_recomputed_and_nothing_else(make_task: MakeTask, make_batch: Callable[[], Batch]) -> None:
    plain, recomputed, batch = make_task(0.1), make_task(0.1), make_batch()
    configure_execution(recomputed, RECOMPUTED)
    once, calls = count_calls(plain), count_calls(recomputed)
    gradients(plain, batch)
    gradients(recomputed, batch)
    blocks = [name for name, module in plain.named_modules() if isinstance(module, GradientCheckpointingLayer | FusionLayer)]
    inside = {name for name in once if any(name.startswith(f"{block}.") for block in blocks)}
    assert {name.split(".layers.")[0].split(".layer.")[0].split(".blocks.")[0] for name in inside} >= {
        "arl.vision.encoder",
        "arl.language.encoder.encoder",
        "arl.fusion",
    }
    # What is hooked to a block itself, as ZeRO does, runs once.
    assert calls == {name: count * (2 if name in inside else 1) for name, count in once.items()}


@pytest.mark.parametrize(("make_task", "make_batch"), TASKS)
def test_a_recomputed_step_keeps_less(make_task: MakeTask, make_batch: Callable[[], Batch]) -> None:
    plain, recomputed, batch = make_task(0.1), make_task(0.1), make_batch()
    configure_execution(recomputed, RECOMPUTED)
    assert kept_bytes(recomputed, batch) < 0.5 * kept_bytes(plain, batch)


@pytest.mark.parametrize("activation_checkpointing", [False, True])
@pytest.mark.parametrize("compiled", [False, True])
def test_names_of_parameters_stay(activation_checkpointing: bool, compiled: bool) -> None:
    plain, task = pretraining_module(), pretraining_module()
    configure_execution(task, ExecutionConfig(activation_checkpointing=activation_checkpointing, compile=compiled))
    assert list(task.state_dict()) == list(plain.state_dict())
    assert list(dict(task.named_modules())) == list(dict(plain.named_modules()))


def test_without_gradients_every_block_runs_once() -> None:
    plain, recomputed, batch = pretraining_module().eval(), pretraining_module().eval(), pretrain_batch()
    configure_execution(recomputed, RECOMPUTED)
    once, calls = count_calls(plain), count_calls(recomputed)
    with torch.no_grad():
        torch.manual_seed(1)
        expected = plain(batch).loss
        torch.manual_seed(1)
        assert torch.equal(recomputed(batch).loss, expected)
    assert calls == once


@pytest.mark.slow
@pytest.mark.parametrize("activation_checkpointing", [False, True])
# A block that is compiled for ever more shapes would go back to plain torch without a word.
@torch._dynamo.config.patch(fail_on_recompile_limit_hit=True)
def test_compiled_steps_are_the_same_steps(activation_checkpointing: bool) -> None:
    torch._dynamo.reset()
    plain, compiled = pretraining_module(), pretraining_module()
    # All that torch.compile does but generating kernels: minutes for this many shapes, and tested with the engines.
    configure_execution(compiled, ExecutionConfig(activation_checkpointing=activation_checkpointing, compile=True), backend="aot_eager")
    widths = set()
    for words, size in ((1, 6), (3, 6), (8, 6), (1, 4), (8, 5), (3, 6), (1, 6)):
        text = " and ".join(f"a {name}" for name in NAMES[:words])
        batch = pretrain_collate()([stream_row(position, text, modality="CT") for position in range(size)])
        widths.add(batch.token_ids.shape[1])
        loss, expected = gradients(plain, batch)
        found_loss, found = gradients(compiled, batch)
        assert found_loss.item() == pytest.approx(loss.item(), rel=1e-5)
        assert found.keys() == expected.keys()
        # Some gradients are zero but for rounding: with one entity, nothing depends on how entities attend to each other.
        whole = float(torch.stack([value.norm() for value in expected.values()]).norm())
        apart = {name: float((found[name] - value).norm() / max(value.norm(), 1e-6 * whole)) for name, value in expected.items()}
        assert {name: value for name, value in apart.items() if not value <= 1e-5 and not name.endswith(("key.bias", "k_proj.bias"))} == {}
        with torch.no_grad():
            torch.manual_seed(1)
            expected_loss = plain.eval()(batch).loss.item()
            torch.manual_seed(1)
            assert compiled.eval()(batch).loss.item() == pytest.approx(expected_loss, rel=1e-5)
        plain.train()
        compiled.train()
    assert len(widths) == 3
