"""The training step against the paper's procedure, which runs the objectives one by one with a full forward each.

Both schedules run the same modules with the same weights on the same batch, without dropout, with the same negatives and
patch masks, and must compute the same losses; only the order of the work differs, and how graph attention sums. One by one, as the
authors' code does:

- masked language: whole image and masked text through all fusion layers, the vocabulary head on every token;
- masked image: kept patches and text through all fusion layers, though the features are taken before a middle one;
- matching: the images with the negatives mixed in, encoded again, and the text through all fusion layers;
- alignment: image and text encoded once more, and a pass over the graph for each of them;
- every pass over the graph with torch_geometric's GATConv, which writes a vector for every edge.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F
from torch_geometric.nn import GATConv

from medvlp.cost import batch_flops
from medvlp.data.batch import PretrainBatch
from medvlp.data.masking import IGNORED, MaskingConfig
from medvlp.data.synthetic import synthetic_batch
from medvlp.knowledge.bundle import Entity, KnowledgeBundle, Provenance
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.model.execution import ExecutionConfig, configure_execution
from medvlp.model.knowledge import BaggedGATConv
from medvlp.model.vision import patchify
from medvlp.tasks.module import TaskOutput
from medvlp.tasks.pretrain.alignment import AlignmentHead, alignment_loss
from medvlp.tasks.pretrain.config import Objective
from medvlp.tasks.pretrain.masked_image import masked_image_loss, patch_order
from medvlp.tasks.pretrain.masked_language import masked_language_loss
from medvlp.tasks.pretrain.matching import matching_loss
from medvlp.tasks.pretrain.module import PretrainingModule
from medvlp.tasks.pretrain.task import Pretraining
from performance.measure import machine, peak_memory_of, run_benchmark, time_in_turn

LARGEST_DIFFERENCE = 1e-5
"""Largest relative difference of the losses of both schedules, in float32."""
AS_IT_IS = ExecutionConfig()


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The sizes of model and data; all dropout is off."""

    model: ARLConfig
    pretext: Pretraining
    vocabulary: int
    entities: int
    edges: int
    knowledge_width: int = 256
    tokens: int = 64
    entities_per_text: int = 24

    @property
    def slots(self) -> int:
        """Number of masked tokens per text."""
        return MaskingConfig().slots(self.tokens)


_SMALL = 256
SIZES = {
    "small": Sizes(
        model=ARLConfig(
            vision=VisionConfig(width=_SMALL, layers=4, heads=4, image_size=96),
            language=LanguageConfig(width=_SMALL, layers=4, heads=4, feed_forward=4 * _SMALL, dropout=0.0),
            knowledge=KnowledgeConfig(dropout=0.0),
            fusion=FusionConfig(width=_SMALL, layers=4, heads=4, feed_forward=4 * _SMALL, dropout=0.0),
        ),
        pretext=Pretraining(),
        vocabulary=10_000,
        entities=4_000,
        edges=40_000,
    ),
    "arl": Sizes(
        model=ARLConfig(language=LanguageConfig(dropout=0.0), knowledge=KnowledgeConfig(dropout=0.0), fusion=FusionConfig(dropout=0.0)),
        pretext=Pretraining(),
        vocabulary=50_265,
        entities=5_000,
        edges=40_000,
    ),
}


def step(
    *,
    config: Literal["small", "arl"] = "small",
    batch: int = 16,
    threads: int = 1,
    repeats: int = 5,
    device: Literal["cpu", "cuda"] = "cpu",
    dtype: Literal["float32", "bfloat16"] = "float32",
    execution: ExecutionConfig = AS_IT_IS,
) -> dict[str, Any]:
    """Time the training step against the paper's procedure, which runs the objectives one by one with a full forward each.

    Args:
        config: Sizes of a small model, or the paper's.
        batch: Samples per step.
        threads: Torch threads on the CPU; figures vary least with one.
        repeats: Timed steps of each schedule; medians are reported.
        device: Device of both.
        dtype: bfloat16 runs both under autocast; losses are compared in float32 first.
        execution: How to run the transformer blocks of both.
    """
    torch.set_num_threads(threads)
    place_of_work = torch.device(device)
    figures = compare(SIZES[config], batch=batch, repeats=repeats, device=place_of_work, dtype=getattr(torch, dtype), execution=execution)
    figures = {"benchmark": "step", "config": config, "threads": threads, **figures}
    place = f"{figures['machine']['gpu']}" if device == "cuda" else f"CPU, {threads} thread{'s' * (threads > 1)}"
    print(f"{config}, batch {batch}, {dtype}, {place}; medians of {repeats}")
    for name in ("one_by_one", "step"):
        seconds, wall = figures[f"{name}_seconds"], figures[f"{name}_wall_seconds"]
        beside = f", {figures[f'{name}_peak_bytes'] / 1e9:.2f} GB" if device == "cuda" else f" of CPU, {wall:.3f} s of the wall clock"
        print(f"{name.replace('_', ' '):12}{seconds:10.3f} s{beside}")
    print(f"{'ratio':12}{figures['ratio']:10.2f}")
    print(f"losses differ by at most {figures['largest_loss_difference']:.1e}: {_listed(figures['losses'])}")
    return figures


def compare(
    sizes: Sizes, *, batch: int, repeats: int, device: torch.device, dtype: torch.dtype, execution: ExecutionConfig = AS_IT_IS
) -> dict[str, Any]:
    """Check that both schedules compute the same losses, and time a forward and backward of each.

    Raises:
        SystemExit: they do not; then there is no ratio.
    """
    task, data = build(sizes, batch, device)
    flops = batch_flops(task, data)  # before: recomputation is not counted
    configure_execution(task, execution)
    schedules: dict[str, Callable[[PretrainBatch], TaskOutput]] = {"one_by_one": partial(one_by_one, task), "step": task}
    losses = {name: run(task, schedule, data, torch.float32).losses for name, schedule in schedules.items()}
    difference = largest_difference(losses["one_by_one"], losses["step"])
    timings = time_in_turn({name: partial(run, task, schedule, data, dtype) for name, schedule in schedules.items()}, repeats, device)
    theirs, ours = timings["one_by_one"], timings["step"]
    peaks = {name: peak_memory_of(partial(run, task, schedule, data, dtype), device) for name, schedule in schedules.items()}
    return {
        "batch": batch,
        "repeats": repeats,
        "device": device.type,
        "dtype": str(dtype).removeprefix("torch."),
        "ratio": theirs.seconds / ours.seconds,
        "one_by_one_seconds": theirs.seconds,
        "step_seconds": ours.seconds,
        "one_by_one_wall_seconds": theirs.wall_seconds,
        "step_wall_seconds": ours.wall_seconds,
        "one_by_one_peak_bytes": peaks["one_by_one"],
        "step_peak_bytes": peaks["step"],
        "execution": asdict(execution),
        "step_gflop_per_sample": flops / batch / 1e9,
        "losses": {name: float(loss) for name, loss in losses["step"].items()},
        "largest_loss_difference": difference,
        "machine": machine(),
    }


def build(sizes: Sizes, batch: int, device: torch.device) -> tuple[PretrainingModule, PretrainBatch]:
    """Build the task with random weights, and a batch of random numbers that half fills its texts' entities."""
    torch.manual_seed(0)
    task = PretrainingModule(sizes.model, sizes.pretext, _random_bundle(sizes), vocabulary=sizes.vocabulary, padding_id=1)
    data = synthetic_batch(
        batch,
        image_size=sizes.model.vision.image_size,
        width=sizes.tokens,
        entities=sizes.entities_per_text,
        slots=sizes.slots,
        vocabulary=sizes.vocabulary,
        graph=sizes.entities,
    )
    return task.to(device).train(), data.to(device)


def run(task: PretrainingModule, schedule: Callable[[PretrainBatch], TaskOutput], batch: PretrainBatch, dtype: torch.dtype) -> TaskOutput:
    """Run a forward and backward from the same random state, with new gradients."""
    task.zero_grad(set_to_none=True)
    torch.manual_seed(0)
    with torch.autocast(batch.images.device.type, dtype, enabled=dtype != torch.float32):
        output = schedule(batch)
    output.loss.backward()
    return output


def largest_difference(expected: dict[str, Tensor], found: dict[str, Tensor]) -> float:
    """Return the largest relative difference of a loss.

    Raises:
        SystemExit: it exceeds ``LARGEST_DIFFERENCE``.
    """
    difference = max(float((expected[name] - found[name]).abs() / expected[name].abs()) for name in expected | found)
    if not difference <= LARGEST_DIFFERENCE:
        raise SystemExit(f"the schedules do not compute the same, so there is no ratio: {_listed(expected)} one by one, {_listed(found)}")
    return difference


def one_by_one(task: PretrainingModule, batch: PretrainBatch) -> TaskOutput:
    """Return the same total and losses as ``task``, each objective computed from the inputs."""
    pixels = task.arl.vision.normalise(batch.images)
    with patch.object(BaggedGATConv, "propagate", GATConv.propagate):
        losses = {
            Objective.MLM: _masked_language(task, batch, pixels),
            Objective.MIM: _masked_image(task, batch, pixels),
            Objective.ITM: _matching(task, batch, pixels),
            Objective.ALIGN: _alignment(task, batch, pixels),
        }
    weights = task.pretext.weights.by_objective()
    total_loss = torch.stack([weights[objective] * loss for objective, loss in losses.items()]).sum()
    return TaskOutput(total_loss, {objective.value: loss.detach() for objective, loss in losses.items()})


@dataclass(frozen=True)
class Inferred:
    """The result of the authors' ``infer`` for a batch, whatever the objective."""

    text: Tensor
    images: list[Tensor]
    """The image stream before every fusion layer, and after the last."""
    pooled: Tensor


def _infer(
    task: PretrainingModule, batch: PretrainBatch, tokens: Tensor, entities: Tensor, pixels: Tensor, kept: Tensor | None
) -> Inferred:
    arl = task.arl
    encoded = arl.encode_texts(tokens, batch.token_mask), arl.encode_images(pixels, kept)
    streams = arl.streams(*encoded, arl.knowledge(), batch.token_mask, batch.entity_ids, entities, batch.entity_tokens)
    text, images, knowledge = streams.text, [streams.image], streams.entities
    for layer in arl.fusion.layers:
        text, image, knowledge = layer(text, images[-1], knowledge, streams.context)
        images.append(image)
    pooled = torch.cat([torch.tanh(arl.text_pooler(text[:, 0])), torch.tanh(arl.image_pooler(images[-1][:, 0]))], dim=-1)
    return Inferred(text, images, pooled)


def _masked_language(task: PretrainingModule, batch: PretrainBatch, pixels: Tensor) -> Tensor:
    head = task.masked_language
    assert head is not None
    text = _infer(task, batch, batch.masked_token_ids, batch.entity_mask & batch.entity_kept, pixels, None).text
    logits = head.output(head.norm(F.gelu(head.hidden(text))))
    # A label for every token; an extra column receives the unused slots and is cut off.
    used = batch.masked_labels != IGNORED
    positions = torch.where(used, batch.masked_positions, text.shape[1])
    labels = torch.full((len(batch), text.shape[1] + 1), IGNORED, device=text.device).scatter_(1, positions, batch.masked_labels)
    return masked_language_loss(logits, labels[:, :-1].contiguous(), batch.weight)


def _masked_image(task: PretrainingModule, batch: PretrainBatch, pixels: Tensor) -> Tensor:
    assert task.masked_image is not None
    config = task.pretext.masked_image
    noise = torch.rand(len(batch), task.arl.config.vision.patches, device=pixels.device)
    kept, restore = patch_order(noise, config.share)
    features = _infer(task, batch, batch.token_ids, batch.entity_mask, pixels, kept).images[config.layer]
    predicted = task.masked_image(features, restore)
    return masked_image_loss(predicted, patchify(pixels, task.arl.vision.patch), restore, kept.shape[1], batch.weight)


def _matching(task: PretrainingModule, batch: PretrainBatch, pixels: Tensor) -> Tensor:
    assert task.matching is not None
    shown = torch.where(batch.matched[:, None, None, None], pixels, pixels[batch.partner])
    pooled = _infer(task, batch, batch.token_ids, batch.entity_mask, shown, None).pooled
    return matching_loss(task.matching(pooled), batch.matched, batch.weight * batch.weight[batch.partner])


def _alignment(task: PretrainingModule, batch: PretrainBatch, pixels: Tensor) -> Tensor:
    assert task.image_alignment is not None
    assert task.text_alignment is not None
    arl = task.arl
    image_labels, text_labels = task.alignment_labels(batch)
    image = _against_graph(task, task.image_alignment, arl.encode_images(pixels))
    text = _against_graph(task, task.text_alignment, arl.encode_texts(batch.token_ids, batch.token_mask))
    return alignment_loss(image, image_labels, batch.weight) + alignment_loss(text, text_labels, batch.weight)


def _against_graph(task: PretrainingModule, head: AlignmentHead, stream: Tensor) -> Tensor:
    """Return inner products [B, N] as in the authors' code, with a copy of the graph for every sample."""
    query = F.relu(head.output(F.relu(head.hidden(stream[:, 0]))))
    graph = task.arl.knowledge().T.repeat(len(stream), 1, 1)
    return torch.bmm(query[:, None], graph)[:, 0]


def _random_bundle(sizes: Sizes) -> KnowledgeBundle:
    generator = torch.Generator().manual_seed(0)
    triples = torch.randint(sizes.entities, (sizes.edges, 3), generator=generator)
    triples[:, 1] = 0
    vectors = torch.randn(sizes.entities, sizes.knowledge_width, generator=generator)
    entities = tuple(Entity(str(index), str(index), "", 1) for index in range(sizes.entities))
    return KnowledgeBundle(entities, ("related",), triples, vectors, Provenance("random", "", "", "", 1))


def _listed(losses: dict[str, Tensor] | dict[str, float]) -> str:
    return ", ".join(f"{name} {float(loss):.6g}" for name, loss in losses.items())


if __name__ == "__main__":
    run_benchmark(step)
