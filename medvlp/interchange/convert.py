"""A checkpoint of the authors' family becomes weights of ours, with a report of every parameter; surprises are refused."""

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
"""Parts that not every member of the family has, beginning with the knowledge; each is there as a whole or not at all."""
_DOWNSTREAM = ("answering", "classification", "ranking")
_SHOWN = 5


@dataclass(frozen=True)
class ImportReport:
    """What became of every parameter."""

    mapped: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Our names, by theirs."""
    interpolated: dict[str, str] = field(default_factory=dict)
    """Old and new shape, by our name."""
    unused: dict[str, str] = field(default_factory=dict)
    """Why, by their name."""
    missing: tuple[str, ...] = ()
    """Our names that the checkpoint has no weights for: they keep their new weights."""

    def __str__(self) -> str:
        return f"{len(self.mapped)} mapped, {len(self.interpolated)} interpolated, {len(self.unused)} unused, {len(self.missing)} missing"


def convert(
    checkpoint: Mapping[str, Tensor], wanted: Mapping[str, torch.Size], model: ARLConfig, *, entity_vectors: bool = False
) -> tuple[dict[str, Tensor], ImportReport]:
    """Weights by our names, float32, and what became of every parameter.

    Args:
        checkpoint: tensors by the names of METER, M3AE or ARL.
        wanted: shapes of the task that is to be started, by parameter.
        model: the sizes of its model.
        entity_vectors: take the vectors of the entities too; they mean something only with the very graph of the checkpoint.

    Raises:
        CheckpointError: a name that no model of the family has, a part that is there by half, or a shape that does not fit.
    """
    places = {name: place_of(name) for name in sorted(checkpoint)}
    strange = [name for name, place in places.items() if place is None]
    if strange:
        raise CheckpointError(f"this is no checkpoint of METER, M3AE or ARL: {_some(strange)} are no parameters of theirs")
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
    """Whether a model of the family can be without this parameter."""
    return any(re.match(part, ours) for part in _OPTIONAL)


def _left_out(ours: str, model: ARLConfig, wanted: Mapping[str, torch.Size], entity_vectors: bool) -> str:
    """Why a parameter of the family that is known here is not used by this task; "" if it is, or if that is a surprise."""
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
    """A part that is there by half means that a name was misread, or that this is another architecture."""
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
            f"the checkpoint has no weights for {_some(required or halves)}: set --model to the sizes that it was made with; "
            "or it is of another architecture"
        )


def _check_shapes(weights: Mapping[str, Tensor], wanted: Mapping[str, torch.Size]) -> None:
    wrong = [
        f"{name} is {tuple(value.shape)} there, {tuple(wanted[name]) if name in wanted else 'absent'} here"
        for name, value in weights.items()
        if wanted.get(name) != value.shape
    ]
    if wrong:
        raise CheckpointError(f"the checkpoint is of another size: {_some(wrong)}; set --model to the sizes that it was made with")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
