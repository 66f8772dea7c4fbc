"""The language encoder: padding is not read, and published weights of RoBERTa and BERT are taken."""

import io
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save, save_file
from transformers import BertConfig, BertForMaskedLM, CLIPConfig, RobertaConfig, RobertaForMaskedLM

from medvlp.data.tokenizer import train_tokenizer
from medvlp.errors import ConfigurationError
from medvlp.model.config import LanguageConfig
from medvlp.model.language import LanguageEncoder, check_tokenizer

SMALL = LanguageConfig(width=16, layers=2, heads=2, feed_forward=24, positions=20)
VOCABULARY = 50
TOKENS = torch.tensor([[0, 7, 8, 9, 2], [0, 11, 2, 1, 1]])
MASK = TOKENS != 1


def publish(folder: Path, architecture: str = "roberta", vocabulary: int = VOCABULARY) -> torch.nn.Module:
    """Save random weights with a head for masked language, as they are published; returns the encoder in them."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24, "vocab_size": vocabulary}
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
    publish(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file({name: value for name, value in weights.items() if "layer.1" not in name}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ConfigurationError, match=r"holds no weights for encoder\.layer\.1"):
        build(replace(SMALL, pretrained=str(tmp_path)))


@pytest.mark.parametrize("beside", [True, False])
def test_a_tokenizer_that_the_weights_were_not_trained_with_is_refused(tmp_path: Path, beside: bool) -> None:
    words = ["left", "right", "lung", "heart", "effusion"]
    tokenizers = [train_tokenizer([f"{word} {word}" for word in order], 262) for order in (words, words[1:])]
    own, other = tokenizers
    assert len(own) == len(other)
    publish(tmp_path, vocabulary=len(own))
    config = replace(SMALL, pretrained=str(tmp_path))
    if beside:
        own.save_pretrained(tmp_path)
    check_tokenizer(config, own)
    check_tokenizer(SMALL, other)
    if beside:
        with pytest.raises(ConfigurationError, match=r"is not the one that it was trained with: set data\.tokenizer to that one"):
            check_tokenizer(config, other)
    for vocabulary in (261, 300):  # a smaller one is no better than a larger one
        with pytest.raises(ConfigurationError, match=r"data\.tokenizer"):
            check_tokenizer(config, train_tokenizer(["effusion effusion left left"] * 9, vocabulary))


def test_a_model_of_another_type_is_named(tmp_path: Path) -> None:
    CLIPConfig().save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match=r"of type 'clip': set model\.language\.pretrained to one of type roberta or"):
        build(replace(SMALL, pretrained=str(tmp_path)))


class Code:
    """What a pickle would execute when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("harmed"),)


DAMAGES: dict[str, Callable[[dict[str, torch.Tensor], Path], object]] = {
    "empty": lambda weights, folder: (folder / "model.safetensors").touch(),
    "cut": lambda weights, folder: (folder / "model.safetensors").write_bytes(save(weights)[:-10]),
    "empty pickle": lambda weights, folder: (folder / "pytorch_model.bin").touch(),
    "cut pickle": lambda weights, folder: (folder / "pytorch_model.bin").write_bytes(pickled(weights)[:1000]),
    "no weights": lambda weights, folder: torch.save([1, 2], folder / "pytorch_model.bin"),
    "code": lambda weights, folder: torch.save({**weights, "x": Code()}, folder / "pytorch_model.bin"),
    "bare code": lambda weights, folder: (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Code())),
    "odd configuration": lambda weights, folder: (folder / "config.json").write_text("null"),
    "deep configuration": lambda weights, folder: (folder / "config.json").write_text("[" * 10**5),
}


def pickled(weights: dict[str, torch.Tensor]) -> bytes:
    buffer = io.BytesIO()
    torch.save(weights, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_weights_are_one_sentence_without_bad_advice(tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path)
    monkeypatch.chdir(tmp_path)
    weights = load_file("model.safetensors")
    Path("model.safetensors").unlink()
    DAMAGES[damage](weights, tmp_path)
    with pytest.raises(ConfigurationError, match="no weights at") as caught:
        build(replace(SMALL, pretrained=str(tmp_path)))
    assert "\n" not in str(caught.value)
    assert "weights_only" not in str(caught.value)
    assert "code" not in damage or "nothing was executed; ask its authors for safetensors" in str(caught.value)
    assert not Path("harmed").exists()


def test_loading_prints_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    publish(tmp_path)
    capfd.readouterr()
    caplog.set_level("INFO", logger="medvlp")
    build(replace(SMALL, pretrained=str(tmp_path)))
    assert capfd.readouterr() == ("", "")
    assert [line.partition("loaded ")[2] for line in caplog.messages] == ["a RobertaModel; not needed: lm_head (5)"]


def test_unknown_architectures_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="take 'roberta' or 'bert'"):
        replace(SMALL, architecture="gpt")
