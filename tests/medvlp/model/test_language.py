"""The language encoder: padding is not read, and published weights of RoBERTa and BERT are taken."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM, RobertaConfig, RobertaForMaskedLM

from medvlp.errors import ConfigurationError
from medvlp.model.config import LanguageConfig
from medvlp.model.language import LanguageEncoder

SMALL = LanguageConfig(width=16, layers=2, heads=2, feed_forward=24, positions=20)
VOCABULARY = 50
TOKENS = torch.tensor([[0, 7, 8, 9, 2], [0, 11, 2, 1, 1]])
MASK = TOKENS != 1


def publish(folder: Path, architecture: str = "roberta") -> torch.nn.Module:
    """Save random weights with a head for masked language, as they are published; returns the encoder in them."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": VOCABULARY}
    if architecture == "roberta":
        roberta = RobertaForMaskedLM(RobertaConfig(**sizes, max_position_embeddings=20, type_vocab_size=1, pad_token_id=1))
        roberta.half().save_pretrained(folder)
        return roberta.roberta
    bert = BertForMaskedLM(BertConfig(**sizes, max_position_embeddings=20))
    bert.half().save_pretrained(folder)
    return bert.bert


def build(config: LanguageConfig = SMALL, vocabulary: int = VOCABULARY) -> LanguageEncoder:
    return LanguageEncoder(config, vocabulary=vocabulary, padding_id=1)


@pytest.mark.parametrize("architecture", ["roberta", "bert"])
def test_padding_is_not_read(architecture: str) -> None:
    encoder = build(replace(SMALL, architecture=architecture)).eval()
    states = encoder(TOKENS, MASK)
    assert states.shape == (2, 5, 16)
    torch.testing.assert_close(states[1:, :3], encoder(TOKENS[1:, :3], MASK[1:, :3]))


@pytest.mark.parametrize("architecture", ["roberta", "bert"])
def test_published_weights_are_taken(tmp_path: Path, architecture: str) -> None:
    published = publish(tmp_path, architecture).float().eval()
    encoder = build(replace(SMALL, architecture=architecture, pretrained=str(tmp_path))).eval()
    assert {parameter.dtype for parameter in encoder.parameters()} == {torch.float32}
    torch.testing.assert_close(encoder(TOKENS, MASK), published(input_ids=TOKENS, attention_mask=MASK).last_hidden_state)


def test_dropout_is_ours_with_published_weights_too(tmp_path: Path) -> None:
    publish(tmp_path)
    silent = build(replace(SMALL, pretrained=str(tmp_path), dropout=0.0)).train()
    assert torch.equal(silent(TOKENS, MASK), silent(TOKENS, MASK))
    loud = build(replace(SMALL, pretrained=str(tmp_path), dropout=0.3)).train()
    assert not torch.equal(loud(TOKENS, MASK), loud(TOKENS, MASK))


@pytest.mark.parametrize(
    "change", [{"width": 32}, {"layers": 3}, {"heads": 4}, {"feed_forward": 32}, {"positions": 40}, {"architecture": "bert"}]
)
def test_other_sizes_than_published_are_refused(tmp_path: Path, change: dict) -> None:
    publish(tmp_path)
    with pytest.raises(ConfigurationError, match=r"set model\.language to the sizes"):
        build(replace(SMALL, pretrained=str(tmp_path), **change))


def test_a_larger_vocabulary_than_published_is_refused(tmp_path: Path) -> None:
    publish(tmp_path)
    with pytest.raises(ConfigurationError, match=r"data\.tokenizer"):
        build(replace(SMALL, pretrained=str(tmp_path)), vocabulary=VOCABULARY + 1)


def test_no_weights_are_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no weights at"):
        build(replace(SMALL, pretrained=str(tmp_path)))


def test_lacking_weights_are_a_clear_error(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    publish(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "layer.1" not in name}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigurationError, match=r"holds no weights for encoder\.layer\.1"):
        build(replace(SMALL, pretrained=str(tmp_path)))


def test_unknown_architectures_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="take 'roberta' or 'bert'"):
        replace(SMALL, architecture="gpt")
