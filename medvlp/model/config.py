"""Sizes of the model. The defaults are the paper's configuration."""

from dataclasses import dataclass, field, replace
from typing import Literal

from medvlp.errors import ConfigurationError
from medvlp.values import Checked, Count, Positive, ShareBelowOne


@dataclass(frozen=True, kw_only=True)
class VisionConfig(Checked):
    """CLIP's vision transformer."""

    pretrained: str | None = None
    """Hugging Face folder or name of the initial weights of the encoder; its sizes must match the sizes given here."""
    width: Count = 768
    layers: Count = 11
    """Number of blocks; pretrained weights are taken from the first blocks (ARL omits CLIP's last block)."""
    heads: Count = 12
    patch: Count = 16
    """Side of a patch, in pixels."""
    image_size: Count = 288
    """Side of the image, in pixels; pretrained position embeddings are interpolated to it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.image_size % self.patch:
            raise ConfigurationError(f"model.vision.image_size {self.image_size} is not a multiple of model.vision.patch {self.patch}")
        check_heads("model.vision", self.width, self.heads)

    @property
    def patches(self) -> int:
        """Number of patches per image."""
        return (self.image_size // self.patch) ** 2


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(Checked):
    """The RoBERTa or BERT encoder."""

    pretrained: str | None = None
    """Hugging Face folder or name of the initial weights of the encoder; its sizes must match the sizes given here."""
    architecture: Literal["roberta", "bert"] = "roberta"
    width: Count = 768
    layers: Count = 12
    heads: Count = 12
    feed_forward: Count = 3072
    dropout: ShareBelowOne = 0.1
    positions: Count = 514
    """Rows of the position table; RoBERTa can use two fewer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads("model.language", self.width, self.heads)


@dataclass(frozen=True, kw_only=True)
class KnowledgeConfig(Checked):
    """The graph attention network over the knowledge graph. Its outer width is the width of the bundle's vectors."""

    hidden_heads: Count = 8
    hidden_width: Count = 64
    """Hidden width per head."""
    dropout: ShareBelowOne = 0.2


@dataclass(frozen=True, kw_only=True)
class FusionConfig(Checked):
    """The three-stream fusion model."""

    width: Count = 768
    layers: Count = 6
    heads: Count = 12
    feed_forward: Count = 3072
    dropout: ShareBelowOne = 0.1
    knowledge_heads: Count = 4
    knowledge_feed_forward: Count = 1024
    last_layer_knowledge: bool = False
    """Build the knowledge path of the last layer too, as the authors do. It learns nothing: it feeds only entity tokens, which no loss
    reads."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_heads("model.fusion", self.width, self.heads)

    @property
    def knowledge_paths(self) -> int:
        """Number of layers with a knowledge path, counted from the first."""
        return self.layers if self.last_layer_knowledge else self.layers - 1


@dataclass(frozen=True, kw_only=True)
class ARLConfig(Checked):
    """The whole model."""

    vision: VisionConfig = field(default_factory=VisionConfig)
    language: LanguageConfig = field(default_factory=LanguageConfig)
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    fusion: FusionConfig = field(default_factory=FusionConfig)
    initial_deviation: Positive = 0.02
    """Standard deviation of initial weights; BERT's 0.02 suits widths near 768, narrow models learn faster with a larger value."""

    def from_scratch(self) -> "ARLConfig":
        """Return the same sizes without pretrained weights, for a model whose weights come from a checkpoint."""
        return replace(self, vision=replace(self.vision, pretrained=None), language=replace(self.language, pretrained=None))


def check_heads(where: str, width: int, heads: int) -> None:
    """Check that the heads divide the width."""
    if width % heads:
        raise ConfigurationError(f"{where}.width {width} is not a multiple of {where}.heads {heads}")
