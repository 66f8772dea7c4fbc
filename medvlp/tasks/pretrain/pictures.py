"""Pictures for people: the model's reconstructions, and the attention of entities over the image."""

from collections.abc import Iterable

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from medvlp.data.batch import PretrainBatch
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.vision import patchify, unpatchify
from medvlp.tasks.pretrain.module import PretrainingModule

COLUMNS = 6


@torch.no_grad()
def pretraining_pictures(task: PretrainingModule, batch: PretrainBatch, bundle: KnowledgeBundle) -> dict[str, Figure]:
    """Draw all pictures of one batch that the built objectives allow, by name."""
    figures = {"entity_attention": entity_attention(task, batch, bundle)}
    if task.masked_image is not None:
        figures["reconstruction"] = reconstruction(task, batch)
    return {name: figure for name, figure in figures.items() if figure is not None}


def reconstruction(task: PretrainingModule, batch: PretrainBatch) -> Figure:
    """Draw three rows: the images, the patches that the model saw, and its reconstruction."""
    encoded = task.encode(batch)
    predicted, kept, _ = task.reconstruct(batch, encoded)
    patch = task.arl.vision.patch
    patches = patchify(encoded.pixels, patch).float()
    seen = torch.zeros_like(patches[..., :1]).scatter_(1, kept[..., None], 1.0)
    # The target of a patch is normalised by its own mean and deviation; undo that with those of the true patch.
    drawn = predicted.float() * patches.std(-1, keepdim=True) + patches.mean(-1, keepdim=True)
    rows = {"image": patches, "seen": patches * seen, "reconstructed": patches * seen + drawn * (1 - seen)}
    images = {name: to_pixels(task, unpatchify(values[:COLUMNS], patch)) for name, values in rows.items()}
    figure = Figure(figsize=(1.6 * COLUMNS, 1.6 * len(rows) + 0.4), layout="constrained")
    figure.suptitle("Masked image modelling: contrast of hidden patches taken from the image", fontsize=9)
    axes = figure.subplots(len(rows), COLUMNS, squeeze=False)
    for line, (name, row) in zip(axes, images.items(), strict=True):
        line[0].set_ylabel(name, fontsize=9)
        for axis, image in zip(line, row, strict=False):
            axis.imshow(image)
        _without_ticks(line)
    return figure


def entity_attention(task: PretrainingModule, batch: PretrainBatch, bundle: KnowledgeBundle) -> Figure | None:
    """Draw the attention of a text's entity over its image: deepest knowledge path, mean over heads; None without such a path."""
    encoded = task.encode(batch)
    streams = task.text_streams(batch, encoded, encoded.image)
    if all(layer.knowledge is None for layer in task.arl.fusion.layers):
        return None
    maps = task.arl.fusion.entity_attention(streams.text, streams.image, streams.entities, streams.context)[-1]
    chosen = _shown_entities(batch, bundle)
    grid = task.arl.config.vision.image_size // task.arl.vision.patch
    figure = Figure(figsize=(1.6 * COLUMNS, 4.0), layout="constrained")
    figure.suptitle("Where an entity of the report looks in the image (patches above the mean are lit)", fontsize=9)
    axes = figure.subplots(2, COLUMNS, squeeze=False)
    images = to_pixels(task, encoded.pixels[[row for row, _ in chosen]])
    for column, ((row, slot), image) in enumerate(zip(chosen, images, strict=True)):
        attention = maps[row, slot, 1:].float().reshape(grid, grid).cpu().numpy()
        axes[0, column].imshow(image)
        axes[0, column].set_title(bundle.entities[int(batch.entity_ids[row, slot])].name, fontsize=7)
        axes[1, column].imshow(image)
        heat = np.clip(attention / attention.mean() - 1, 0, None)
        axes[1, column].imshow(heat, cmap="inferno", alpha=0.6, extent=(-0.5, image.shape[1] - 0.5, image.shape[0] - 0.5, -0.5))
    _without_ticks(axes.flat)
    return figure


def _shown_entities(batch: PretrainBatch, bundle: KnowledgeBundle) -> list[tuple[int, int]]:
    """Return (row, slot) of one entity per text, the rarest in the training split: it is the most specific."""
    chosen = []
    for row, (ids, mask) in enumerate(zip(batch.entity_ids.tolist(), batch.entity_mask.tolist(), strict=True)):
        slots = [slot for slot, present in enumerate(mask) if present]
        if slots and batch.weight[row] > 0:
            chosen.append((row, min(slots, key=lambda slot: bundle.entities[ids[slot]].count)))
    return chosen[:COLUMNS]


def to_pixels(task: PretrainingModule, pixels_B3SS: Tensor) -> np.ndarray:
    """Convert normalised images to float [B, S, S, 3] in [0, 1]."""
    images = pixels_B3SS.float() * task.arl.vision.std.float() + task.arl.vision.mean.float()
    return images.clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()


def _without_ticks(axes: Iterable) -> None:
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
