"""Corpora by name."""

from pathlib import Path

import pytest

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.phantom import PhantomCorpus, PhantomQuestions
from medvlp.corpora.registry import open_corpus
from medvlp.errors import ConfigurationError


def test_known_corpora_open_with_their_options(tmp_path: Path) -> None:
    assert open_corpus("phantom", None, train=5, seed=3) == PhantomCorpus(train=5, seed=3)
    assert open_corpus("phantom-questions", size=64) == PhantomQuestions(size=64)
    (tmp_path / "a.jpg").write_bytes(b"encoded")
    (tmp_path / "captions.jsonl").write_text('{"image": "a.jpg", "text": "some words here", "split": "train"}')
    corpus = open_corpus("jsonl", tmp_path, name="mine", public=True)
    assert isinstance(corpus, FileCorpus)
    assert (corpus.name, corpus.public, corpus.splits()) == ("mine", True, {"train": 1})


@pytest.mark.parametrize(
    ("name", "root", "options", "message"),
    [
        ("fantom", None, {}, "unknown corpus 'fantom', did you mean 'phantom'"),
        ("imagenet", None, {}, "unknown corpus 'imagenet'; known are phantom, phantom-questions, jsonl"),
        ("jsonl", None, {}, "read from files"),
        ("phantom", Path("/data"), {}, "leave out the root /data"),
        ("phantom", None, {"trian": 5}, "no option 'trian'; it takes train, validation, test, seed, size"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_advice(name: str, root: Path | None, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        open_corpus(name, root, **options)
