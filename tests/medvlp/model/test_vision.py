"""The vision encoder: a subset of patches, and published weights of other sizes and types."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F
from transformers import BertConfig, CLIPConfig, CLIPModel, CLIPVisionConfig, CLIPVisionModel

from medvlp.errors import ConfigurationError
from medvlp.model.config import VisionConfig
from medvlp.model.vision import VisionEncoder, patchify, unpatchify

SMALL = VisionConfig(width=16, layers=2, heads=2, patch=8, image_size=32)
PUBLISHED = {
    "hidden_size": 16,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}


def publish(folder: Path, whole: bool = False, dtype: torch.dtype = torch.float32) -> CLIPVisionModel:
    """Save random weights as CLIP's authors do: the vision model alone, or inside the whole."""
    torch.manual_seed(0)
    if not whole:
        clip = CLIPVisionModel(CLIPVisionConfig(**PUBLISHED)).to(dtype)
        clip.save_pretrained(folder)
        return clip
    text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}
    model = CLIPModel(CLIPConfig(vision_config=PUBLISHED, text_config={**text, "bos_token_id": 1, "eos_token_id": 2})).to(dtype)
    model.save_pretrained(folder)
    return model.vision_model


def pixels(size: int = 32) -> torch.Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_published_weights_are_taken(tmp_path: Path, whole: bool, dtype: torch.dtype) -> None:
    clip = publish(tmp_path, whole, dtype).float().eval()
    encoder = VisionEncoder(replace(SMALL, pretrained=str(tmp_path))).eval()
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    # The authors leave out CLIP's last block and take all tokens behind the last LayerNorm.
    states = clip(pixels(), output_hidden_states=True).hidden_states[2]
    torch.testing.assert_close(encoder(pixels()), clip.post_layernorm(states))


def test_positions_are_interpolated_to_another_image_size(tmp_path: Path) -> None:
    table = publish(tmp_path).embeddings.position_embedding.weight.detach()
    encoder = VisionEncoder(replace(SMALL, pretrained=str(tmp_path), image_size=48))
    resized = encoder.embeddings.position_embedding.weight
    assert torch.equal(resized[0], table[0])
    expected = F.interpolate(table[1:].view(1, 4, 4, 16).permute(0, 3, 1, 2), size=(6, 6), mode="bicubic").permute(0, 2, 3, 1)
    torch.testing.assert_close(resized[1:].view(1, 6, 6, 16), expected)
    assert encoder(pixels(48)).shape == (2, 37, 16)
    assert resized.requires_grad


def test_the_same_image_size_keeps_the_positions(tmp_path: Path) -> None:
    table = publish(tmp_path).embeddings.position_embedding.weight
    encoder = VisionEncoder(replace(SMALL, pretrained=str(tmp_path)))
    assert torch.equal(encoder.embeddings.position_embedding.weight, table)


@pytest.mark.parametrize("change", [{"width": 32}, {"heads": 4}, {"patch": 16}, {"layers": 4}])
def test_other_sizes_than_published_are_refused(tmp_path: Path, change: dict[str, int]) -> None:
    publish(tmp_path)
    with pytest.raises(ConfigurationError, match=r"set model\.vision to the sizes of the weights"):
        VisionEncoder(replace(SMALL, pretrained=str(tmp_path), **change))


def test_no_weights_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no weights at"):
        VisionEncoder(replace(SMALL, pretrained=str(tmp_path)))


def test_a_model_of_another_type_is_named(tmp_path: Path) -> None:
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"holds a model of type 'bert': set model\.vision\.pretrained to one of type clip or"):
        VisionEncoder(replace(SMALL, pretrained=str(tmp_path)))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"multiple of model\.vision\.patch"):
        replace(SMALL, image_size=30)
    with pytest.raises(ConfigurationError, match=r"multiple of model\.vision\.heads"):
        replace(SMALL, heads=3)


def test_all_patches_in_another_order_are_the_same_image() -> None:
    encoder = VisionEncoder(SMALL).eval()
    order = torch.stack([torch.randperm(16), torch.randperm(16)])
    whole, shuffled = encoder(pixels()), encoder(pixels(), order)
    torch.testing.assert_close(shuffled[:, 0], whole[:, 0])
    torch.testing.assert_close(shuffled[:, 1:], whole[:, 1:].gather(1, order[..., None].expand(-1, -1, 16)))


def test_patches_that_are_not_kept_cannot_be_seen() -> None:
    encoder = VisionEncoder(SMALL).eval()
    kept = torch.tensor([[0, 5, 9], [1, 2, 15]])
    patches = patchify(pixels(), 8)
    hidden = torch.ones(2, 16, 1).scatter_(1, kept[..., None], 0.0)
    disturbed = unpatchify(patches + hidden * torch.randn_like(patches), 8)
    assert encoder(pixels(), kept).shape == (2, 4, 16)
    torch.testing.assert_close(encoder(disturbed, kept), encoder(pixels(), kept))


@given(patch=st.integers(1, 4), grid=st.integers(1, 4))
def test_patches_come_in_row_order_with_channels_last(patch: int, grid: int) -> None:
    images = torch.randn(2, 3, patch * grid, patch * grid)
    patches = patchify(images, patch)
    assert patches.shape == (2, grid * grid, patch * patch * 3)
    row, column = grid - 1, 0
    block = images[1, :, row * patch : (row + 1) * patch, column * patch : (column + 1) * patch]
    assert torch.equal(patches[1, row * grid + column], block.permute(1, 2, 0).flatten())
    assert torch.equal(unpatchify(patches, patch), images)


def test_pixels_are_normalised_as_clip_expects() -> None:
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    normalised = VisionEncoder(SMALL).normalise(images)[0, :, 0, 0]
    expected = [(0 - 0.48145466) / 0.26862954, (128 / 255 - 0.4578275) / 0.26130258, (1 - 0.40821073) / 0.27577711]
    torch.testing.assert_close(normalised, torch.tensor(expected))
