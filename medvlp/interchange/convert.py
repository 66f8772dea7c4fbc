"""Convert a checkpoint of METER, M3AE or ARL to our weights, with a report on every parameter; unknown names are errors."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from medvlp.errors import CheckpointError
from medvlp.interchange.names import place_of
from medvlp.model.config import ARLConfig
from medvlp.model.positions import resized_positions

POSITIONS = "arl.vision.embeddings.position_embedding.weight"
ENTITY_VECTORS = "arl.knowledge.embedding.weight"
_OPTIONAL = (
    r"arl\.(knowledge|fusion\.layers\.\d+\.knowledge)|(image|text)_alignment",
    "masked_language",
    "masked_image",
    "matching",
)
"""Parts that not every model of the family has, beginning with the knowledge; each is complete or absent."""
_DOWNSTREAM = ("answering", "classification", "ranking")
_SHOWN = 5


@dataclass(frozen=True)
class ImportReport:
    """How every parameter was treated."""

    mapped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Our names, by their names."""
    interpolated: dict[str, str] = field(default_factory=dict)
    """Old and new shape, by our name."""
    unused: dict[str, str] = field(default_factory=dict)
    """The reasons, by their names."""
    missing: tuple[str, ...] = ()
    """Our names without weights in the checkpoint: they keep their initial weights."""

    def __str__(self) -> str:
        return f"{len(self.mapped)} mapped, {len(self.interpolated)} interpolated, {len(self.unused)} unused, {len(self.missing)} missing"


def convert(
    checkpoint: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], model: ARLConfig, *, entity_vectors: bool = False
) -> tuple[dict[str, Tensor], ImportReport]:
    """Return weights by our names, float32, and a report on every parameter.

    Args:
        checkpoint: tensors by the names of METER, M3AE or ARL.
        wanted: shapes of the task to start, by parameter.
        model: the sizes of the model of that task.
        entity_vectors: import the entity vectors too; they are valid only with the same graph as the checkpoint.

    Raises:
        CheckpointError: a name is unknown in the family, a part is incomplete, or a shape does not fit.
    """
    places = {name: place_of(name) for name in sorted(checkpoint)}
    strange = [name for name, place in places.items() if place is None]
    if strange:
        raise CheckpointError(f"this is not a checkpoint of METER, M3AE or ARL: they have no parameters {_some(strange)}")
    weights: dict[str, Tensor] = {}
    report = ImportReport()
    for name, place in places.items():
        assert place is not None
        reason = place.unused or _left_out(place.ours[0], model, wanted, entity_vectors)
        if reason:
            report.unused[name] = reason
            continue
        report.mapped[name] = place.ours
        for ours, part in zip(place.ours, checkpoint[name].chunk(len(place.ours)), strict=True):
            weights[ours] = _fitted(ours, part, model, report)
    missing = tuple(sorted(wanted.keys() - weights.keys()))
    _check_parts(weights, missing, entity_vectors)
    _check_shapes(weights, wanted)
    return weights, ImportReport(report.mapped, report.interpolated, report.unused, missing)


def is_optional(ours: str) -> bool:
    """Return whether this parameter is optional in the family."""
    return any(re.match(part, ours) for part in _OPTIONAL)


def _left_out(ours: str, model: ARLConfig, wanted: Mapping[str, torch.Size], entity_vectors: bool) -> str:
    """Return why this task does not use a known parameter of the family; "" if it does, or if the reason is unknown."""
    if ours == ENTITY_VECTORS and not entity_vectors:
        return "the entities come with the knowledge bundle"
    if ours in wanted:
        return ""
    part = ours.split(".")[0]
    if part in _DOWNSTREAM:
        return "the head of a downstream task"
    if part != "arl" and not any(name.startswith(f"{part}.") for name in wanted):
        return "the head of an objective that is not built"
    last = model.fusion.layers - 1
    if re.match(rf"arl\.fusion\.layers\.({last}\.knowledge|{last - 1}\.knowledge\.feed_forward)\.", ours):
        return "knowledge of the last layer, which no loss reads"
    return ""


def _fitted(ours: str, value: Tensor, model: ARLConfig, report: ImportReport) -> Tensor:
    value = value.detach().float()
    grid = model.vision.image_size // model.vision.patch
    if ours == POSITIONS and value.ndim == 2 and len(value) != grid**2 + 1:
        resized = resized_positions(value, grid)
        report.interpolated[ours] = f"{tuple(value.shape)} to {tuple(resized.shape)}"
        return resized
    if ours == "masked_image.mask_token.weight":
        value = value.flatten(0, -2)
    return value.contiguous().clone()


def _check_parts(weights: Iterable[str], missing: Iterable[str], entity_vectors: bool) -> None:
    """Check that no part is incomplete: that would mean a misread name or another architecture."""
    required, halves = [], []
    found = set(weights)
    for name in missing:
        part = next((pattern for pattern in _OPTIONAL if re.match(pattern, name)), None)
        if part is None:
            required.append(name)
        elif any(re.match(part, other) for other in found) and not (name == ENTITY_VECTORS and not entity_vectors):
            halves.append(name)
    if required or halves:
        raise CheckpointError(
            f"the checkpoint has no weights for {_some(required or halves)}: set --model to the sizes of the checkpoint; "
            "or it has another architecture"
        )


def _check_shapes(weights: Mapping[str, Tensor], wanted: Mapping[str, torch.Size]) -> None:
    wrong = [
        f"{name} is {tuple(value.shape)} there, {tuple(wanted[name]) if name in wanted else 'absent'} here"
        for name, value in weights.items()
        if wanted.get(name) != value.shape
    ]
    if wrong:
        raise CheckpointError(f"the checkpoint has another size: {_some(wrong)}; set --model to the sizes of the checkpoint")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
