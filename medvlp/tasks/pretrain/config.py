"""The configuration of the pretext objectives and their weights."""

from dataclasses import dataclass
from enum import StrEnum

from medvlp.errors import ConfigurationError
from medvlp.model.config import check_heads


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
class ObjectiveWeights:
    """Weight of each loss in the total; an objective of weight 0 is not built."""

    mlm: float = 1.0
    mim: float = 1.0
    itm: float = 0.1
    align: float = 1.0

    def __post_init__(self) -> None:
        if min(self.by_objective().values()) < 0 or not self.built():
            raise ConfigurationError(f"pretext.weights are {self}: all must be at least 0, and one above 0")

    def by_objective(self) -> dict[Objective, float]:
        """Return all weights by objective."""
        return {objective: getattr(self, objective.value) for objective in Objective}

    def built(self) -> tuple[Objective, ...]:
        """Objectives with a weight above 0."""
        return tuple(objective for objective, weight in self.by_objective().items() if weight > 0)


@dataclass(frozen=True, kw_only=True)
class MaskedImageConfig:
    """Masked image modelling."""

    share: float = 0.75
    """Fraction of the patches that the encoder does not see."""
    layer: int = 3
    """The decoder reads the image stream as it enters this fusion layer."""
    width: int = 384
    layers: int = 4
    heads: int = 6

    def __post_init__(self) -> None:
        check_heads("pretext.masked_image", self.width, self.heads)
        if self.width % 4 or not 0 < self.share < 1 or self.layer < 0:
            raise ConfigurationError(f"pretext.masked_image: width must be a multiple of 4, share between 0 and 1, layer 0 or more: {self}")
