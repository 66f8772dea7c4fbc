"""The vision encoder: CLIP's ViT, all tokens after the last LayerNorm.

Shapes: B images, S side, P patches, K kept patches, W width.
"""

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from medvlp.data.image import CLIP_MEAN, CLIP_STD
from medvlp.errors import ConfigurationError
from medvlp.model.config import VisionConfig
from medvlp.model.hugging_face import load_published, published_config
from medvlp.model.positions import resized_positions


class VisionEncoder(nn.Module):
    """CLIP vision transformer whose input can be a subset of the patches (for masked image modelling)."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: VisionConfig):
        super().__init__()
        self.patch = config.patch
        clip = _pretrained(config, config.pretrained) if config.pretrained else CLIPVisionModel(_clip_config(config))
        self.embeddings = clip.embeddings
        self.input_norm = clip.pre_layrnorm
        self.encoder = clip.encoder
        self.output_norm = clip.post_layernorm
        self.register_buffer("mean", torch.tensor(CLIP_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(CLIP_STD).view(3, 1, 1), persistent=False)

    def normalise(self, images_B3SS: Tensor) -> Tensor:
        """Convert uint8 pixels to the encoder's floating-point input."""
        return (images_B3SS.to(self.mean.dtype) / 255 - self.mean) / self.std

    def forward(self, pixels_B3SS: Tensor, kept_BK: Tensor | None = None) -> Tensor:
        """Encode normalised images.

        Args:
            pixels_B3SS: output of ``normalise``.
            kept_BK: indices of the patches that the encoder sees; None for all. The class token is always kept.

        Returns:
            [B, 1 + P, W] or [B, 1 + K, W].
        """
        tokens = self.embeddings(pixels_B3SS)
        if kept_BK is not None:
            index = kept_BK[..., None].expand(-1, -1, tokens.shape[-1])
            tokens = torch.cat([tokens[:, :1], tokens[:, 1:].gather(1, index)], dim=1)
        return self.output_norm(self.encoder(inputs_embeds=self.input_norm(tokens)).last_hidden_state)


def patchify(pixels_B3SS: Tensor, patch: int) -> Tensor:
    """[B, P, patch * patch * 3]: patches in row order, pixels of a patch in the order (row, column, channel)."""
    batch, channels, side, _ = pixels_B3SS.shape
    grid = side // patch
    blocks = pixels_B3SS.reshape(batch, channels, grid, patch, grid, patch)
    return blocks.permute(0, 2, 4, 3, 5, 1).reshape(batch, grid * grid, patch * patch * channels)


def unpatchify(patches_BPD: Tensor, patch: int) -> Tensor:
    """Reverse ``patchify``."""
    batch, count, _ = patches_BPD.shape
    grid = round(count**0.5)
    blocks = patches_BPD.reshape(batch, grid, grid, patch, patch, -1)
    return blocks.permute(0, 5, 1, 3, 2, 4).reshape(batch, -1, grid * patch, grid * patch)


def _clip_config(config: VisionConfig) -> CLIPVisionConfig:
    return CLIPVisionConfig(
        hidden_size=config.width,
        intermediate_size=4 * config.width,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        image_size=config.image_size,
        patch_size=config.patch,
    )


def _pretrained(config: VisionConfig, source: str) -> CLIPVisionModel:
    """Load published weights: the first ``layers`` blocks, positions interpolated to the image size."""
    whole = published_config(source, "model.vision.pretrained", ("clip", "clip_vision_model"))
    published = getattr(whole, "vision_config", whole)
    wanted = (config.width, config.heads, config.patch)
    found = (published.hidden_size, published.num_attention_heads, published.patch_size)
    if wanted != found or published.num_hidden_layers < config.layers:
        raise ConfigurationError(
            f"{source} has (width, heads, patch) {found} and {published.num_hidden_layers} blocks; "
            f"model.vision has {wanted} and {config.layers}: set model.vision to the sizes of the weights"
        )
    clip: CLIPVisionModel = load_published(CLIPVisionModel, source)
    clip.encoder.layers = clip.encoder.layers[: config.layers]
    _resize_positions(clip, config.image_size, config.patch)
    return clip


def _resize_positions(clip: CLIPVisionModel, image_size: int, patch: int) -> None:
    """Interpolate the position embeddings (bicubic) to another image size; the class token's is unchanged."""
    embeddings = clip.embeddings
    if embeddings.image_size == image_size:
        return
    wanted = image_size // patch
    weight = resized_positions(embeddings.position_embedding.weight.detach(), wanted)
    embeddings.position_embedding = nn.Embedding.from_pretrained(weight, freeze=False)
    embeddings.register_buffer("position_ids", torch.arange(len(weight)).expand(1, -1), persistent=False)
    embeddings.image_size, embeddings.num_patches, embeddings.num_positions = image_size, wanted**2, len(weight)
