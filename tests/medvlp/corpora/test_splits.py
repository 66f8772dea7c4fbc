"""Splits: one name for each, and none that could lead a file elsewhere."""

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.splits import check_split, is_split_name, split_name
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw


def test_a_split_has_one_name_however_it_is_called() -> None:
    for name, spellings in {
        "train": ("TRAIN", "training", " Training set", "trainset", "train_split"),
        "validation": ("Val", " dev ", "validate", "Development", "valid-data"),
        "test": ("test", "Testing", "test set", "tst"),
        "": ("", "  "),
    }.items():
        assert {split_name(spelling) for spelling in spellings} == {name}
    assert [split_name(name) for name in ("fold_1", "Held-out set", "訓練")] == ["fold_1", "held-out set", "訓練"]


@pytest.mark.parametrize("name", ["../../evil", "a/b", "/tmp/x", "..", ".", "a\\b", "a\0b", "a\nb", "train-", "x" * 41, "s3://bucket"])
def test_what_is_no_plain_name_is_refused(name: str) -> None:
    assert not is_split_name(split_name(name))
    with pytest.raises(DataError, match=r"corpus 'some' has the split .*; rename it"):
        check_split(name, "corpus 'some'")


@given(name=st.text())
def test_whatever_passes_is_one_part_of_a_path(name: str) -> None:
    try:
        check_split(name)
    except DataError:
        return
    file = f"{name}-00000.parquet.json"
    assert PurePosixPath("folder", file).parts == ("folder", file)
    assert len(file.encode()) < 200


def test_no_corpus_gets_such_a_split_past_the_check(tmp_path: Path) -> None:
    draw(tmp_path / "a.jpg")
    items = {"../evil": [Item(image="a.jpg", texts=("a text of it",), source_id="a")]}
    with pytest.raises(DataError, match=r"corpus 'some' has the split '\.\./evil'"):
        FileCorpus.hold(SourceFolder(tmp_path, "some", "images"), items, public=False)
