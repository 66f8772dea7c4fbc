"""Folders of captions: splits, cleaning, what is left behind, and errors that say where to look."""

import json
import pickle
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.identity import hashed_group
from medvlp.corpora.jsonl import open_jsonl
from medvlp.data.sample import Dropped, Sample
from medvlp.errors import DataError


def write(root: Path, *rows: dict[str, Any] | str) -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    (root / "images" / "a.jpg").write_bytes(b"encoded")
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (root / "captions.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def row(**fields: Any) -> dict[str, Any]:
    return {"image": "images/a.jpg", "text": "Small nodule in the left lung", "split": "train", **fields}


def test_a_row_becomes_a_sample(tmp_path: Path) -> None:
    fields = {"source_id": "a1", "patient_id": "p7", "case_id": "c7", "modality": "CT", "plane": "axial", "sex": None, "age": 61}
    corpus = open_jsonl(write(tmp_path / "set", row(text="  Small\n nodule  seen ", **fields)), public=True)
    assert (corpus.name, corpus.public, corpus.splits()) == ("set", True, {"train": 1})
    assert pickle.loads(pickle.dumps(corpus)).sample("train", 0) == Sample(
        image=b"encoded",
        texts=("Small nodule seen",),
        source_id="a1",
        modality="CT",
        group=hashed_group("set", "patient_id=p7"),
        attributes={"plane": "axial", "age": 61},
    )


def test_texts_answers_and_another_modality_field(tmp_path: Path) -> None:
    question = row(
        text="ignored", texts=["What is seen here?", "short"], answer=2, answer_type="count", type="MR", modality="T1", split="test"
    )
    sample = open_jsonl(write(tmp_path, question), modality_field="type").sample("test", 0)
    assert sample.texts == ("What is seen here?",)
    assert (sample.answer, sample.answer_type, sample.modality) == ("2", "count", "MR")
    assert sample.attributes == {"modality": "T1"}
    assert sample.source_id == "images/a.jpg"


@pytest.mark.parametrize(
    ("fields", "answers"),
    [
        ({"answers": ["left", 2, " left ", None, ""]}, ("left", "2")),
        ({"answers": "left"}, ("left",)),
        ({"answers": [], "answer": "right"}, ("right",)),
        ({"answer": None}, ()),
    ],
)
def test_several_answers_may_be_right(tmp_path: Path, fields: dict[str, Any], answers: tuple[str, ...]) -> None:
    sample = open_jsonl(write(tmp_path, row(**fields))).sample("train", 0)
    assert (sample.answers, sample.answer) == (answers, answers[0] if answers else "")


def test_what_is_not_a_number_is_unknown_and_empty_lines_do_not_count(tmp_path: Path) -> None:
    line = '{"image": "images/a.jpg", "text": "a few words", "split": "val", "age": NaN}'
    corpus = open_jsonl(write(tmp_path, "", line, "  ", line))
    assert corpus.splits() == {"validation": 2}
    assert corpus.sample("validation", 1).attributes == {}


@pytest.mark.parametrize("text", ["two words", "", None, []])
def test_short_texts_are_dropped_with_a_reason(tmp_path: Path, text: object) -> None:
    corpus = open_jsonl(write(tmp_path, row(text=text)))
    with pytest.raises(Dropped, match="no text of at least 3 words"):
        corpus.sample("train", 0)


@settings(max_examples=25, deadline=None)
@given(patients=st.lists(st.integers(0, 40), min_size=1, max_size=80))
def test_a_patient_is_never_in_two_splits(tmp_path_factory: pytest.TempPathFactory, patients: list[int]) -> None:
    rows = [row(split=None, patient_id=patient, source_id=f"s{number}") for number, patient in enumerate(patients)]
    corpus = open_jsonl(write(tmp_path_factory.mktemp("set"), *rows))
    homes = defaultdict(set)
    for split, count in corpus.splits().items():
        for index in range(count):
            homes[patients[int(corpus.sample(split, index).source_id[1:])]].add(split)
    assert sum(corpus.splits().values()) == len(patients)
    assert all(len(splits) == 1 for splits in homes.values())


def test_rows_without_a_split_are_dealt_by_share_and_stay_when_rows_are_added(tmp_path: Path) -> None:
    rows = [row(split=None, source_id=f"s{number}") for number in range(1_000)]
    few, many = open_jsonl(write(tmp_path / "few", *rows[:500])), open_jsonl(write(tmp_path / "many", *rows))
    assert 70 < many.splits()["validation"] < 130
    assert set(_sources(few, "validation")) == set(_sources(many, "validation")) & set(_sources(few, "validation") + _sources(few, "train"))


def test_a_blank_split_is_never_drawn_if_others_are_stated(tmp_path: Path) -> None:
    stated = [row(split="test", patient_id=number) for number in range(3)]
    corpus = open_jsonl(write(tmp_path, *stated, row(split="", patient_id=7)))
    assert corpus.splits() == {"test": 3}
    assert corpus.left_out == {"row states no split, although others do": 1}
    with pytest.raises(DataError, match=r"2 of the 5 rows .*captions\.jsonl, line 4 states no split"):
        open_jsonl(write(tmp_path, *stated, row(split="", patient_id=7), row(split=None, patient_id=8)))


@pytest.mark.parametrize("texts", [None, [], "", [None, ""]])
def test_empty_texts_do_not_hide_the_text(tmp_path: Path, texts: object) -> None:
    assert open_jsonl(write(tmp_path, row(texts=texts))).sample("train", 0).texts == (row()["text"],)


def test_chinese_captions_have_words(tmp_path: Path) -> None:
    corpus = open_jsonl(write(tmp_path, row(text="双肺纹理清晰。")))
    assert corpus.sample("train", 0).texts == ("双肺纹理清晰。",)


def test_a_row_without_a_split_follows_its_patient(tmp_path: Path) -> None:
    rows = [row(split="test", patient_id=1), *(row(split=None, patient_id=1) for _ in range(20))]
    assert open_jsonl(write(tmp_path, *rows)).splits() == {"test": 21}


def _sources(corpus: FileCorpus, split: str) -> list[str]:
    return [corpus.sample(split, index).source_id for index in range(corpus.splits()[split])]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{not json", "line 2 is not JSON"),
        ("[1, 2]", "line 2 is not a JSON object"),
        ('{"text": "no image here"}', "line 2 has a field 'image' that is missing"),
        ('{"image": "../secret.jpg", "text": "t"}', "line 2 has a field 'image' that names a file that is not inside the folder"),
        ('{"image": "images/../../secret.jpg", "text": "t"}', "that is not inside the folder"),
        ('{"image": "/etc/passwd", "text": "t"}', "that is not inside the folder"),
        ('{"image": "a\\u0000.jpg", "text": "t"}', "line 2 has a field 'image' that is not a file name"),
        ('{"image": null, "text": "t"}', "line 2 has a field 'image' that is empty"),
        ('{"image": 5, "text": "t"}', "line 2 has a field 'image' that is not a text"),
        ('{"image": "images/a.jpg", "a": ' + "[" * 9999 + "]" * 9999 + "}", "line 2 is nested more than 50 levels deep"),
        ('{"image": "images/a.jpg", "a": ' + "[" * 99 + "]" * 99 + "}", "line 2 is nested more than 50 levels deep"),
        ('{"image": "images/a.jpg", "a": ' + "9" * 5000 + "}", "line 2 is not JSON"),
        ('{"image": "images/a.jpg", "text": "t", "split": "../../evil"}', "line 2 has a field 'split' that is no name of a split"),
        ('{"image": "images/a.jpg", "text": "t", "split": "a\\u0000b"}', "line 2 has a field 'split' that is no name of a split"),
        (
            '{"image": "images/a.jpg", "text": "t", "answers": [["yes"]]}',
            "line 2 has a field 'answers' that is neither a text nor a number",
        ),
        ('{"image": "images/a.jpg", "text": 5}', "line 2 has a field 'text' that is not a text"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_jsonl(write(tmp_path, row(), line, line))
    corpus = open_jsonl(write(tmp_path, row(), line))  # a single one stops nothing
    assert sum(corpus.left_out.values()) + sum(corpus.splits().values()) == 2
    assert corpus.sample("train", 0).texts == (row()["text"],)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*nowhere"):
        open_jsonl(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no file .*captions\.jsonl; the folder of corpus 'jsonl' must contain captions\.jsonl and images"):
        open_jsonl(tmp_path)
    with pytest.raises(DataError, match="contain no row"):
        open_jsonl(write(tmp_path, ""))
    gone = row(image="images/gone.jpg")
    advice = r"2 of the 3 rows .*: 2 × image file is missing.*maximum_missing 0\.667 to.*The first: there is no file .*images/gone\.jpg"
    with pytest.raises(DataError, match=advice):
        open_jsonl(write(tmp_path, row(), gone, gone))
    with pytest.raises(DataError, match="1 of the 2 rows"):
        open_jsonl(write(tmp_path, row(), gone), maximum_missing=0)
    corpus = open_jsonl(write(tmp_path, row(), gone))
    with pytest.raises(Dropped, match="image file is missing"):
        corpus.sample("train", 1)
    with pytest.raises(DataError, match="no item 2 in split 'train'"):
        corpus.sample("train", 2)


def test_whatever_changes_changes_the_fingerprint(tmp_path: Path) -> None:
    before = open_jsonl(write(tmp_path, row())).fingerprint
    assert open_jsonl(write(tmp_path, row())).fingerprint == before
    changed = open_jsonl(write(tmp_path, row(text="Another caption of this image"))).fingerprint
    write(tmp_path, row())
    (tmp_path / "images" / "a.jpg").write_bytes(b"another image")
    assert len({before, changed, open_jsonl(tmp_path).fingerprint}) == 3


@pytest.mark.real_data
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "modality_field", "modalities", "rows", "dropped"),
    [("medpix2", "type", {"CT", "MR"}, 1_850, 62), ("covid_chestxray", "modality", {"X-ray"}, 249, 0)],
)
def test_real_captions(shared_data: Path, folder: str, modality_field: str, modalities: set[str], rows: int, dropped: int) -> None:
    corpus = open_jsonl(shared_data / folder, modality_field=modality_field)
    assert set(corpus.splits()) == {"train", "validation"}
    assert sum(corpus.splits().values()) == rows
    samples, reasons = [], []
    for split, count in corpus.splits().items():
        for index in range(count):
            try:
                samples.append(corpus.sample(split, index))
            except Dropped as drop:
                reasons.append(drop.reason)
    assert len(reasons) == dropped
    assert {sample.modality for sample in samples} == modalities
    assert all(sample.image.startswith(b"\xff\xd8") for sample in samples)
    assert not any({"patient_id", "case_id"} & set(sample.attributes) for sample in samples)
