"""VQA-RAD: its files, and the validation set that it does not have."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from medvlp.corpora.official.vqa_rad import open_vqa_rad
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, sources, write, write_json


def question(number: int, image: str, **fields: Any) -> dict[str, Any]:
    asked = {"question": f"Is there a mass {number}?", "answer": "Yes", "answer_type": "CLOSED ", "question_type": "PRES"}
    return {"qid": number, "image_name": image, "image_organ": "CHEST", "phrase_type": "freeform", **asked, **fields}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    images = [f"synpic{number}.jpg" for number in range(40)]
    for image in images:
        draw(tmp_path / "images" / image)
    write_json(tmp_path / "trainset.json", [question(number, images[number % 40]) for number in range(200)])
    write_json(tmp_path / "testset.json", [question(1000, images[0], answer=2, answer_type="OPEN", question="How many?")])
    return tmp_path


def test_questions_become_samples(root: Path) -> None:
    samples, dropped = read(open_vqa_rad(root))
    assert not dropped
    (sample,) = samples["test"]
    assert (sample.texts, sample.answer, sample.answer_type) == (("How many?",), "2", "open")
    assert (sample.source_id, sample.attributes["organ"]) == ("synpic0", "CHEST")
    assert {(each.answer, each.answer_type) for each in samples["train"]} == {("yes", "closed")}
    assert {each.answer for each in read(open_vqa_rad(root, normalise_answers=False))[0]["train"]} == {"Yes"}


def test_validation_is_dealt_by_image_and_by_seed(root: Path) -> None:
    samples, _ = read(open_vqa_rad(root))
    train, validation = sources(samples["train"]), sources(samples["validation"])
    assert validation
    assert not train & validation
    assert len(train | validation) == 40
    assert sources(read(open_vqa_rad(root, seed=1))[0]["validation"]) != validation
    assert open_vqa_rad(root, validation_share=0.5).splits()["validation"] > open_vqa_rad(root).splits()["validation"]


def test_a_stated_validation_set_is_taken(root: Path) -> None:
    write_json(root / "valset.json", [question(7, "synpic1.jpg")])
    assert open_vqa_rad(root).splits() == {"train": 200, "validation": 1, "test": 1}


def test_null_is_no_answer(root: Path) -> None:
    write_json(root / "testset.json", [question(1, "synpic1.jpg", answer=None), question(2, "synpic1.jpg", answer="None")])
    corpus = open_vqa_rad(root)
    assert corpus.left_out == {"row has a field 'answer' that is unknown": 1}
    assert [sample.answer for sample in read(corpus)[0]["test"]] == ["0"]  # "none" in words is the number, as in the VQA evaluation


def test_what_is_wrong_is_named(root: Path) -> None:
    (root / "nothing").mkdir()
    with pytest.raises(DataError, match=r"no file .*nothing.trainset\.json; the folder of corpus 'vqa-rad' must contain trainset\.json"):
        open_vqa_rad(root / "nothing")
    whole = (root / "testset.json").read_text()
    write(root / "testset.json", whole[:-20])
    with pytest.raises(DataError, match=r"testset\.json is not JSON: .*was the file cut off"):
        open_vqa_rad(root)
    write_json(root / "testset.json", [{name: value for name, value in row.items() if name != "answer"} for row in json.loads(whole) * 9])
    with pytest.raises(DataError, match=r"testset\.json, line 1 has a field 'answer' that is missing"):
        open_vqa_rad(root)


@pytest.mark.real_data
def test_the_real_questions(shared_data: Path) -> None:
    samples, dropped = read(open_vqa_rad(shared_data / "vqa_rad"))
    assert not dropped
    counts = {split: len(of_split) for split, of_split in samples.items()}
    assert counts["train"] + counts["validation"] == 3064
    assert counts["test"] == 451
    assert 200 < counts["validation"] < 450
    everything = [sample for of_split in samples.values() for sample in of_split]
    assert Counter(sample.answer_type for sample in everything) == {"closed": 1823 + 272, "open": 1241 + 179}
    assert len({sample.answer for sample in everything}) == 498
    assert len(sources(everything)) == 314
