"""The configuration of the pretext objectives and their weights."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from medvlp.errors import ConfigurationError
from medvlp.model.config import check_heads
from medvlp.values import Checked, Count, CountOrZero, PositiveOrZero, Range


class Objective(StrEnum):
    """The four pretext objectives, in the order in which they are reported."""

    MLM = "mlm"
    """Masked language modelling."""
    MIM = "mim"
    """Masked image modelling."""
    ITM = "itm"
    """Image-text matching."""
    ALIGN = "align"
    """Alignment of both encoders with the knowledge graph."""


@dataclass(frozen=True, kw_only=True)
class ObjectiveWeights(Checked):
    """Weight of each loss in the total; an objective of weight 0 is not built."""

    mlm: PositiveOrZero = 1.0
    mim: PositiveOrZero = 1.0
    itm: PositiveOrZero = 0.1
    align: PositiveOrZero = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.built():
            raise ConfigurationError("pretext.weights are all 0: give one objective a weight above 0")

    def by_objective(self) -> dict[Objective, float]:
        """Return all weights by objective."""
        return {objective: getattr(self, objective.value) for objective in Objective}

    def built(self) -> tuple[Objective, ...]:
        """Objectives with a weight above 0."""
        return tuple(objective for objective, weight in self.by_objective().items() if weight > 0)


@dataclass(frozen=True, kw_only=True)
class MaskedImageConfig(Checked):
    """Masked image modelling."""

    share: Annotated[float, Range(above=0, below=1)] = 0.75
    """Fraction of the patches that the encoder does not see."""
    layer: CountOrZero = 3
    """The decoder reads the image stream as it enters this fusion layer."""
    width: Count = 384
    layers: CountOrZero = 4
    heads: Count = 6

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads("pretext.masked_image", self.width, self.heads)
        if self.width % 4:
            raise ConfigurationError(f"pretext.masked_image.width {self.width} is not a multiple of 4")
