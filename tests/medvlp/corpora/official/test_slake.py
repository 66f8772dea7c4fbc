"""SLAKE: its files, in one language."""

from pathlib import Path
from typing import Any

import pytest

from medvlp.corpora.official.slake import open_slake
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, write_json


def question(image: int, **fields: Any) -> dict[str, Any]:
    asked = {"question": "Which organ?", "answer": "The Liver", "answer_type": "OPEN", "content_type": "Organ", "q_lang": "en"}
    return {"img_id": image, "img_name": f"xmlab{image}/source.jpg", "location": "Abdomen", "modality": "CT", "qid": 1, **asked, **fields}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(3):
        draw(tmp_path / "imgs" / f"xmlab{number}" / "source.jpg")
    for number, name in enumerate(("train", "validate", "test")):
        write_json(tmp_path / f"{name}.json", [question(number), question(number, q_lang="zh", question="哪个器官?", answer="肝脏")])
    return tmp_path


def test_questions_of_one_language_become_samples(root: Path) -> None:
    corpus = open_slake(root)
    assert corpus.splits() == {"train": 1, "validation": 1, "test": 1}
    assert corpus.left_out == {"question is not in language en": 3}
    sample = corpus.sample("validation", 0)
    assert (sample.texts, sample.answer, sample.answer_type) == (("Which organ?",), "liver", "open")
    assert (sample.source_id, sample.modality, sample.attributes) == ("xmlab1", "CT", {"organ": "Abdomen", "question_type": "Organ"})
    assert open_slake(root, language="zh").sample("train", 0).answer == "肝脏"


def test_a_folder_without_its_images_is_refused(root: Path) -> None:
    for image in ("xmlab1", "xmlab2"):
        (root / "imgs" / image / "source.jpg").unlink()
    advice = r"2 of the 3 rows of corpus 'slake' .*maximum_missing 0\.667 to leave them out. The first: there is no file .*xmlab1"
    with pytest.raises(DataError, match=advice):
        open_slake(root)
    _, dropped = read(open_slake(root, maximum_missing=0.667))
    assert dropped == {"image file is missing": 2}


@pytest.mark.parametrize("modality", [None, 3, "nan"])
def test_a_modality_may_be_unknown_or_a_number(root: Path, modality: object) -> None:
    write_json(root / "train.json", [question(0), question(0, modality=modality)])
    samples, _ = read(open_slake(root))
    assert [sample.modality for sample in samples["train"]] == ["CT", "3" if modality == 3 else ""]


@pytest.mark.real_data
def test_the_real_questions(shared_data: Path) -> None:
    corpus = open_slake(shared_data / "slake")
    assert corpus.splits() == {"train": 4919, "validation": 1053, "test": 1061}
    samples, dropped = read(corpus)
    assert dropped == {"image file is missing": 10}
    assert sum(map(len, samples.values())) == 4919 + 1053 + 1061 - 10
    answers = {corpus.items[split][index].answer for split, count in corpus.splits().items() for index in range(count)}
    assert len(answers) == 222
