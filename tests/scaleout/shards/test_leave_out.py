"""Leaving out a person: shards without, other keys unchanged, and no removal that removed nothing."""

import json
from pathlib import Path

import pytest

from medvlp.corpora.csv_table import open_csv
from medvlp.corpora.file_corpus import FileCorpus
from medvlp.errors import DataError
from scaleout.shards.card import read_card
from scaleout.shards.leave_out import LeftOutItems
from scaleout.shards.prepare import prepare_shards
from scaleout.shards.sidecar import read_all_samples
from tests.scaleout.shards.toy import encode


@pytest.fixture
def corpus(tmp_path: Path) -> FileCorpus:
    lines = ["image,text,chart"]
    for number in range(24):
        (tmp_path / f"{number}.png").write_bytes(encode(10 * number, "PNG"))
        lines.append(f"{number}.png,a small nodule here,{number // 3}")
    (tmp_path / "captions.csv").write_text("\n".join(lines))
    return open_csv(tmp_path, patient_column="chart", validation_share=0.25)


def samples(folder: Path, corpus: FileCorpus, leave_out: LeftOutItems | None = None) -> list[dict[str, str]]:
    manifest = prepare_shards(corpus, str(folder), samples_per_shard=4, vocabulary_size=0, leave_out=leave_out, run=map)
    tables = [table for split in manifest.splits for table in read_all_samples(str(folder), manifest.shards_of(split), ["key", "group"])]
    return [row for table in tables for row in table.to_pylist()]


def test_a_person_is_left_out_and_other_keys_stay(tmp_path: Path, corpus: FileCorpus) -> None:
    every = samples(tmp_path / "every", corpus)
    person = every[0]["group"]
    (tmp_path / "people.txt").write_text(person + "\n")
    rest = samples(tmp_path / "rest", corpus, LeftOutItems.read(tmp_path / "people.txt", corpus))
    assert rest == [row for row in every if row["group"] != person]
    assert len(every) - len(rest) == 3
    card = json.loads((tmp_path / "rest" / "card.json").read_text())
    assert {f"group {person} is left out": 3} in [part["dropped"] for part in card["splits"].values()]


def test_a_removal_that_removes_nobody_is_an_error(tmp_path: Path, corpus: FileCorpus) -> None:
    (tmp_path / "people.txt").write_text("0123456789abcdef")
    with pytest.raises(DataError, match=r"no sample is of the group 0123456789abcdef, so nothing was left out"):
        samples(tmp_path / "rest", corpus, LeftOutItems.read(tmp_path / "people.txt", corpus))


def test_the_card_says_what_stays_together(tmp_path: Path, corpus: FileCorpus) -> None:
    samples(tmp_path / "every", corpus)
    card = read_card(str(tmp_path / "every"))
    assert "What must stay in one split (the group): patient_id for 24 items." in card
    assert "The splits are drawn by a hash of the group, 25% for validation. No group is in two splits." in card
    groups = [part["groups"] for part in json.loads((tmp_path / "every" / "card.json").read_text())["splits"].values()]
    assert sum(groups) == 8
