"""Rows: the planned sample with its own links, its keyed caption, and an error where a file is not what it was."""

import json
import pickle
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.data.sample import ROW_COLUMNS, Box, Label, Sample, StreamRow
from medvlp.errors import DataError
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.ontology import Concept, Ontology
from scaleout.links.link import link_shards
from scaleout.links.manifest import LinksManifest
from scaleout.stream.rows import ROW_SCHEMA, PlannedSplit, stream_rows
from tests.scaleout.shards.toy import ToyCorpus
from tests.scaleout.stream.toy_stream import ENTITY_IDS, read_all, split_of, toy_split


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the toy corpus lies."""
    return tmp_path_factory.mktemp("toy")


@pytest.fixture(scope="module")
def split(folder: Path) -> PlannedSplit:
    """Reads the toy corpus."""
    return toy_split(folder)


def read(split: PlannedSplit, start: int, stop: int) -> list[StreamRow]:
    return stream_rows(read_all(split, start, stop))


def expected_spans(text: str) -> set[tuple[str, int]]:
    return {(word, ENTITY_IDS[concept]) for word, concept in (("effusion", "T:1"), ("nodule", "T:2"), ("mass", "T:2")) if word in text}


def test_columns_are_the_schema(split: PlannedSplit) -> None:
    assert read_all(split, 0, 7).schema.equals(ROW_SCHEMA)


def test_positions_count_up_and_epochs_with_them(split: PlannedSplit) -> None:
    rows = read(split, 20, 60)
    assert [row.position for row in rows] == list(range(20, 60))
    assert [row.epoch for row in rows] == [position // 25 for position in range(20, 60)]


def test_an_epoch_uploads_every_sample_once_as_the_corpus_has_it(split: PlannedSplit) -> None:
    rows = read(split, 0, 25)
    corpus = ToyCorpus()
    assert Counter(row.key for row in rows) == Counter(f"{index:09d}" for index in range(25))
    for row in rows:
        sample = corpus.sample("train", int(row.key))
        assert row.text in sample.texts
        assert row.image == sample.image
        assert row.modality == sample.modality
        assert row.shard == f"train-{int(row.key) // 10:05d}.tar"


def test_spans_are_of_the_chosen_caption_and_image_entities_of_all(split: PlannedSplit) -> None:
    for row in read(split, 0, 50):
        assert {(row.text[start:end], entity) for start, end, entity in row.spans} == expected_spans(row.text)
        affirmed, _ = ToyCorpus().sample("train", int(row.key)).texts
        assert list(row.image_entities) == sorted({entity for _, entity in expected_spans(affirmed)})


def test_what_is_denied_is_an_image_entity_if_wanted(split: PlannedSplit) -> None:
    for row in read(replace(split, reader=replace(split.reader, label_negated=True)), 0, 25):
        every_text = " ".join(ToyCorpus().sample("train", int(row.key)).texts)
        assert list(row.image_entities) == sorted({entity for _, entity in expected_spans(every_text)})


def test_the_vocabulary_decides_which_of_overlapping_mentions_is_read(folder: Path, tmp_path: Path) -> None:
    nested = Ontology.build("nested", [Concept("T:1", "effusion"), Concept("T:2", "effusion in the train")], [])
    shards = str(folder / "shards")
    manifest = link_shards(shards, nested, DictionaryLinker.build(nested), str(tmp_path), run=map)
    for entity_ids, expected in (({"T:1": 0}, {"effusion"}), ({"T:1": 0, "T:2": 1}, {"effusion in the train", "effusion"})):
        other = split_of(shards, str(tmp_path), manifest, "train", entity_ids=entity_ids)
        rows = read(other, 0, 50)
        assert {row.text[start:end] for row in rows for start, end, _ in row.spans} == expected
        assert max(len(row.spans) for row in rows) == 1


def test_the_caption_depends_on_seed_epoch_and_key_alone(split: PlannedSplit) -> None:
    texts = {(row.epoch, row.key): row.text for row in read(split, 0, 75)}
    other = replace(split, plan=replace(split.plan, window_shards=3, shuffle=False))
    assert {(row.epoch, row.key): row.text for row in read(other, 0, 75)} == texts
    per_key = [{texts[epoch, f"{index:09d}"] for epoch in range(3)} for index in range(25)]
    assert any(len(chosen) == 2 for chosen in per_key)
    reseeded = PlannedSplit(replace(split.plan, seed=1), replace(split.reader, seed=1))
    assert {(row.epoch, row.key): row.text for row in read(reseeded, 0, 75)} != texts


@pytest.mark.parametrize("start", [1, 9, 24, 31])
def test_reading_may_start_anywhere(split: PlannedSplit, start: int) -> None:
    assert read(split, start, 50) == read(split, 0, 50)[start:]


def test_negatives_are_drawn_from_the_whole_split(split: PlannedSplit) -> None:
    drawing = replace(split, plan=replace(split.plan, corpus_negatives=True))
    rows, corpus = read(drawing, 0, 50), ToyCorpus()
    known = {corpus.sample("train", index).image for index in range(25)}
    drawn = [row.negative_image for row in rows]
    assert set(drawn) <= known
    assert len(set(drawn)) > 12
    assert [replace(row, negative_image=b"") for row in rows] == read(split, 0, 50)
    assert read(drawing, 7, 31) == rows[7:31]
    assert drawn[:25] != drawn[25:]


def test_a_reader_travels_to_tasks(split: PlannedSplit) -> None:
    assert read(replace(split, reader=pickle.loads(pickle.dumps(split.reader))), 0, 10) == read(split, 0, 10)


class Told(ToyCorpus):
    """A corpus that says all that a sample can say."""

    def sample(self, split: str, index: int) -> Sample:
        return replace(
            super().sample(split, index),
            answers=(f"answer {index}", "other"),
            answer_type="open",
            labels=(Label("chexpert", "Edema", "uncertain"), Label("side", "left")) if index % 2 else (),
            boxes=(Box("nodule", 0.1, 0.2, 0.3, 0.5),),
            group=f"group {index // 2}",
            attributes={"number": index, "of": [split]},
        )


def test_what_is_known_of_a_sample_passes_through_and_attributes_if_asked_for(tmp_path: Path) -> None:
    corpus = Told(train=5, validation=5)
    split = toy_split(tmp_path, corpus=corpus)
    rows = read(split, 0, 10)
    for row in rows:
        sample = corpus.sample("train", int(row.key))
        passed = {name: getattr(sample, name) for name in ROW_COLUMNS}
        assert {name: getattr(row, name) for name in ROW_COLUMNS} == {**passed, "attributes": {}}
    asked = replace(split, reader=replace(split.reader, attributes=True))
    assert read_all(asked, 0, 10).schema.equals(ROW_SCHEMA)
    assert {(row.key, json.dumps(row.attributes)) for row in read(asked, 0, 5)} == {
        (f"{number:09d}", json.dumps({"number": number, "of": ["train"]})) for number in range(5)
    }
    assert [replace(row, attributes={}) for row in read(asked, 0, 10)] == rows


@pytest.mark.parametrize("damage", ["altered", "truncated", "missing"])
@pytest.mark.parametrize("file", ["shards/train-00001.tar", "links/train-00001.parquet"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str, file: str) -> None:
    split = toy_split(tmp_path)
    path = tmp_path / file
    content = bytearray(path.read_bytes())
    if damage == "altered":
        # One byte in the middle, the length as before.
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "truncated":
        path.write_bytes(content[:-512])
    else:
        path.unlink()
    with pytest.raises(DataError, match=Path(file).name):
        read(split, 0, 25)


def test_links_of_other_texts_are_refused(tmp_path: Path) -> None:
    toy_split(tmp_path / "a"), toy_split(tmp_path / "b", corpus=ToyCorpus(short=frozenset({2})))
    shards, others = str(tmp_path / "a" / "shards"), str(tmp_path / "b" / "links")
    with pytest.raises(DataError, match="do not line up"):
        read(split_of(shards, others, LinksManifest.load(others), "train"), 0, 25)
