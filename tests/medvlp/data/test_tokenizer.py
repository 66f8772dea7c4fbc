"""Tokenizers: trained on a corpus, or read from a folder of any of the usual kinds."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, BertConfig, PreTrainedTokenizerFast, RobertaConfig

from medvlp.data.tokenizer import MINIMUM_VOCABULARY, load_tokenizer, train_tokenizer
from medvlp.errors import ConfigurationError

TEXTS = [f"left pleural effusion of {number} mm, right lung clear" for number in range(50)]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer trained on ``TEXTS``."""
    return train_tokenizer(TEXTS, 400)


def test_the_first_word_is_like_any_other(tokenizer: PreTrainedTokenizerFast) -> None:
    ids = tokenizer("effusion left effusion").input_ids
    assert ids[1] == ids[3]
    assert [ids[0], ids[-1]] == [tokenizer.bos_token_id, tokenizer.eos_token_id]


@settings(deadline=None)
@given(text=st.text(max_size=60))
def test_offsets_give_back_the_text(tokenizer: PreTrainedTokenizerFast, text: str) -> None:
    offsets = tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]
    assert all(0 <= start <= end <= len(text) for start, end in offsets)
    assert {index for start, end in offsets for index in range(start, end)} >= {i for i, c in enumerate(text) if not c.isspace()}


def test_the_same_texts_give_the_same_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        train_tokenizer(iter(TEXTS), 400).save_pretrained(tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


def test_saved_it_is_a_hugging_face_folder(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    tokenizer.save_pretrained(tmp_path)
    for loaded in (load_tokenizer(tmp_path), AutoTokenizer.from_pretrained(tmp_path)):
        assert loaded.get_vocab() == tokenizer.get_vocab()
        assert loaded(TEXTS[7]).input_ids == tokenizer(TEXTS[7]).input_ids
        assert (loaded.pad_token_id, loaded.mask_token_id) == (1, 4)


def test_a_vocabulary_smaller_than_the_bytes_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=f"at least {MINIMUM_VOCABULARY}"):
        train_tokenizer(TEXTS, 260)


def test_no_tokenizer_is_a_clear_error(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ConfigurationError, match="no tokenizer at"):
            load_tokenizer(place)


ODD = {
    "empty": "",
    "a list": "[]",
    "an object": "{}",
    "a text": '"x"',
    "null": "null",
    "deep": "[" * 10**5 + "]" * 10**5,
    "no model": '{"version": "1.0", "added_tokens": [], "model": null}',
    "null tokens": '{"version": "1.0", "added_tokens": null, "model": {"type": "BPE", "vocab": {}, "merges": []}}',
    "odd ids": '{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}',
    "odd merges": '{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 1}, "merges": ["a b"]}}',
}


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("content", ODD)
def test_an_odd_file_is_one_sentence(tokenizer: PreTrainedTokenizerFast, tmp_path: Path, name: str, content: str) -> None:
    tokenizer.save_pretrained(tmp_path)
    (tmp_path / name).write_text(ODD[content])
    with pytest.raises(ConfigurationError, match=r"no tokenizer at|the tokenizer of") as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("config", [RobertaConfig(), BertConfig()])
def test_an_encoder_without_a_tokenizer_has_none(config: RobertaConfig | BertConfig, tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="there is no vocabulary"):
        load_tokenizer(tmp_path)


@pytest.mark.real_data
@pytest.mark.parametrize(("name", "size"), [("roberta-base", 50265), ("bert-base-uncased", 30522)])
def test_a_bare_vocabulary_is_enough(name: str, size: int, shared_data: Path) -> None:
    tokenizer = load_tokenizer(shared_data / "tokenizers" / name)
    assert len(tokenizer) == size
    encoded = tokenizer("effusion left effusion", return_offsets_mapping=True)
    assert encoded["offset_mapping"][-2][1] == 22
