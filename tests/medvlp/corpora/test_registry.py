"""Corpora by name."""

from pathlib import Path

import pytest

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.phantom import PhantomCorpus, PhantomQuestions
from medvlp.corpora.registry import open_corpus
from medvlp.errors import MedvlpError


def test_known_corpora_open_with_their_options(tmp_path: Path) -> None:
    assert open_corpus("phantom", None, train=5, seed=3) == PhantomCorpus(train=5, seed=3)
    assert open_corpus("phantom-questions", size=64) == PhantomQuestions(size=64)
    (tmp_path / "a.jpg").write_bytes(b"encoded")
    (tmp_path / "captions.jsonl").write_text('{"image": "a.jpg", "text": "some words here", "split": "train"}')
    corpus = open_corpus("jsonl", tmp_path, name=2019, public=True, validation_share=0)
    assert isinstance(corpus, FileCorpus)
    assert (corpus.name, corpus.public, corpus.splits()) == ("2019", True, {"train": 1})


@pytest.mark.parametrize(
    ("name", "root", "options", "message"),
    [
        ("fantom", None, {}, "unknown corpus 'fantom', did you mean 'phantom'"),
        ("imagenet", None, {}, "unknown corpus 'imagenet'; known corpora: phantom, phantom-questions, jsonl"),
        ("jsonl", None, {}, "read from files"),
        ("phantom", Path("/data"), {}, "leave out the root /data"),
        ("phantom", None, {"train": "many"}, "option 'train' of corpus 'phantom' takes a int, as 40000, not 'many'"),
        ("phantom", None, {"train": 0.5}, "takes a int"),
        ("slake", Path("/data"), {"normalise_answers": 1}, "takes a bool"),
        ("vqa-rad", Path("/data"), {"validation_share": True}, "takes a float"),
        ("slake", Path("/data"), {}, "no folder /data; the folder of corpus 'slake' must contain train.json"),
        ("phantom", None, {"trian": 5}, "no option 'trian'; it takes train, validation, test, seed, size"),
    ],
)
def test_what_cannot_be_opened_is_refused_with_advice(name: str, root: Path | None, options: dict[str, int], message: str) -> None:
    with pytest.raises(MedvlpError, match=message):
        open_corpus(name, root, **options)
