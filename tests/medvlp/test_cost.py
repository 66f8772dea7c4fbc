"""Operations are counted without computing: as many as torch counts on the real step."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from medvlp.cost import FlopCount, batch_flops
from medvlp.data.batch import Batch
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.optimisation import freeze_unreached
from medvlp.tasks.base import Task, TaskContext
from medvlp.tasks.module import TaskModule
from medvlp.tasks.pretrain.config import MaskedImageConfig, ObjectiveWeights
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.vqa.task import ANSWERS, QuestionAnswering
from tests.medvlp import tiny

OTHER = ARLConfig(
    vision=VisionConfig(width=24, layers=1, heads=3, patch=4, image_size=16),
    language=LanguageConfig(width=20, layers=2, heads=4, feed_forward=28, dropout=0.0, positions=40, architecture="bert"),
    knowledge=KnowledgeConfig(hidden_heads=3, hidden_width=2, dropout=0.0),
    fusion=FusionConfig(width=12, layers=4, heads=2, feed_forward=20, dropout=0.0, knowledge_heads=4, knowledge_feed_forward=10),
)
"""No two sizes alike."""
MICRO_BATCH = 4


def context(model: ARLConfig = OTHER, **changes: object) -> TaskContext:
    settings = {"image": tiny.IMAGE, "text": tiny.TEXT, "tokenizer": tiny.tokenizer(), "bundle": tiny.bundle(), **changes}
    return TaskContext(model=model, **settings)  # type: ignore[arg-type]


def pretraining(weights: Sequence[float] = (1, 1, 1, 1)) -> Pretraining:
    named = dict(zip(("mlm", "mim", "itm", "align"), weights, strict=True))
    return Pretraining(weights=ObjectiveWeights(**named), masked_image=MaskedImageConfig(share=0.6, layer=1, width=8, layers=2, heads=2))


def really_counted(module: TaskModule, batch: Batch) -> float:
    # Torch has no formula for the fused attention of the CPU, and counts for that of the GPU what it computes twice.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        module(batch).loss.backward()
    return counter.get_total_flops()


TASKS: dict[str, tuple[Task, TaskContext]] = {
    "pretrain": (pretraining(), context()),
    "tiny": (pretraining(), context(tiny.model_config())),
    "negatives of the corpus": (pretraining(), context(negatives="corpus")),
    "only masked images": (pretraining((0, 1, 0, 0)), context()),
    "only alignment": (pretraining((0, 0, 0, 1)), context()),
    "vqa": (QuestionAnswering(), context(targets={ANSWERS: ["yes", "no", "left"]})),
}


@pytest.mark.parametrize(("task", "context"), TASKS.values(), ids=TASKS)
def test_a_sample_costs_what_torch_counts_on_the_real_step(task: Task, context: TaskContext) -> None:
    module = task.build(context)
    frozen = freeze_unreached(module, module(task.synthetic_batch(context, 2)).loss)
    count = FlopCount(task, context, micro_batch=MICRO_BATCH, frozen=frozenset(frozen))
    for width in (tiny.TEXT.width_multiple, tiny.TEXT.maximum_tokens):
        expected = really_counted(module, task.synthetic_batch(context, MICRO_BATCH, width))
        assert count.per_sample(width) == expected / MICRO_BATCH


def test_a_batch_is_counted_on_the_module_that_is_there() -> None:
    module, batch = tiny.pretraining_module(), tiny.pretrain_batch()
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    counted = batch_flops(module, batch)
    assert all(torch.equal(parameter, before[name]) for name, parameter in module.named_parameters())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert counted == really_counted(module, batch)


def test_nothing_is_drawn() -> None:
    task, where = TASKS["tiny"]
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    FlopCount(task, replace(where, seed=1), micro_batch=2).per_sample(8)
    assert torch.equal(torch.rand(2), expected)
