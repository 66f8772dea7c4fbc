"""Masked image modelling on an intermediate fusion layer.

Shapes: B samples, P patches, K kept patches, H fusion width, D decoder width, X values of a patch.
"""

import torch
from torch import Tensor, nn
from transformers import CLIPVisionConfig
from transformers.models.clip.modeling_clip import CLIPEncoderLayer

from medvlp.tasks.pretrain.config import MaskedImageConfig
from medvlp.tasks.reduction import weighted_mean

TARGET_EPSILON = 1e-6


def patch_order(noise_BP: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Choose the patches that the encoder keeps, from one random number per patch.

    Returns:
        kept [B, K] patch indices, and restore [B, P]: the place of every patch in the order "kept ones first".
    """
    order = noise_BP.argsort(dim=1)
    return order[:, : kept_patches(noise_BP.shape[1], share)], order.argsort(dim=1)


def kept_patches(patches: int, share: float) -> int:
    """Return how many of an image's ``patches`` the encoder keeps when the fraction ``share`` is dropped."""
    return int(patches * (1 - share))


class MaskedImageHead(nn.Module):
    """A small transformer that reconstructs all patches from the kept ones."""

    positions: Tensor

    def __init__(self, config: MaskedImageConfig, width: int, patches: int, patch_values: int):
        super().__init__()
        self.input = nn.Linear(width, config.width)
        self.mask_token = nn.Embedding(1, config.width)
        blocks = CLIPVisionConfig(
            hidden_size=config.width,
            intermediate_size=4 * config.width,
            num_attention_heads=config.heads,
            attn_implementation="sdpa",  # type: ignore[call-arg]  # transformers accepts it, but its dataclass does not declare it
        )
        self.blocks = nn.ModuleList(CLIPEncoderLayer(blocks) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width, eps=1e-5)
        self.output = nn.Linear(config.width, patch_values)
        self.register_buffer("positions", _sine_positions(config.width, round(patches**0.5)), persistent=False)

    def forward(self, image_BIH: Tensor, restore_BP: Tensor) -> Tensor:
        """[B, P, X] from the image stream of class token and kept patches."""
        tokens = self.input(image_BIH)
        batch, patches = restore_BP.shape
        hidden = self.mask_token(restore_BP.new_zeros(batch, patches + 1 - tokens.shape[1]))
        patches_BPD = torch.cat([tokens[:, 1:], hidden], dim=1)
        patches_BPD = patches_BPD.gather(1, restore_BP[..., None].expand(-1, -1, tokens.shape[-1]))
        states = torch.cat([tokens[:, :1], patches_BPD], dim=1) + self.positions.to(tokens.dtype)
        for block in self.blocks:
            states = block(states, None)
        return self.output(self.norm(states))[:, 1:]


def masked_image_loss(predicted_BPX: Tensor, patches_BPX: Tensor, restore_BP: Tensor, kept: int, weight_B: Tensor) -> Tensor:
    """Return the mean squared error of the dropped patches, each normalised by its own mean and deviation."""
    squared = (predicted_BPX.float() - normalised_patches(patches_BPX.float())) ** 2
    return weighted_mean(squared.mean(-1), (restore_BP >= kept) * weight_B[:, None])


def normalised_patches(patches_BPX: Tensor) -> Tensor:
    """Normalise patches to mean 0 and (unbiased) variance 1."""
    mean, variance = patches_BPX.mean(-1, keepdim=True), patches_BPX.var(-1, keepdim=True)
    return (patches_BPX - mean) / (variance + TARGET_EPSILON).sqrt()


def _sine_positions(width: int, grid: int) -> Tensor:
    """[1 + grid², width]: fixed two-dimensional sine-cosine positions (first half columns), a zero row for the class token."""
    frequencies = 1 / 10000 ** (torch.arange(width // 4, dtype=torch.float64) / (width // 4))

    def encode(coordinate: Tensor) -> Tensor:
        angles = coordinate.flatten()[:, None].double() * frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    rows, columns = torch.meshgrid(torch.arange(grid), torch.arange(grid), indexing="ij")
    table = torch.cat([encode(columns), encode(rows)], dim=1).float()
    return torch.cat([torch.zeros(1, width), table])
