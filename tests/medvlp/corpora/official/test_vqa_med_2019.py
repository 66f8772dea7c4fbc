"""VQA-Med-2019 in both of its layouts."""

from pathlib import Path

import pytest

from medvlp.corpora.official.vqa_med_2019 import CATEGORIES, open_vqa_med_2019
from medvlp.errors import ConfigurationError, DataError
from tests.medvlp.corpora.official.support import draw, read, write

LINE = "synpic{number}|what {category} is this?|the {category} {number}\n"


def arranged(root: Path) -> Path:
    for number, split in enumerate(("train", "val", "test")):
        draw(root / split / "images" / f"synpic{number}.jpg")
        for category in CATEGORIES:
            write(root / split / "QA" / f"{category.capitalize()}.csv", LINE.format(number=number, category=category))
    return root


def official(root: Path) -> Path:
    for number, (release, suffix, images) in enumerate((("Training", "train", "Train_images"), ("Validation", "val", "Val_images"))):
        folder = root / f"ImageClef-2019-VQA-Med-{release}"
        draw(folder / images / f"synpic{number}.jpg")
        for place, category in enumerate(CATEGORIES, start=1):
            file = folder / "QAPairsByCategory" / f"C{place}_{category.capitalize()}_{suffix}.txt"
            write(file, LINE.format(number=number, category=category))
    lines = [LINE.format(number=2, category=category).replace("|", f"|{category}|", 1) for category in CATEGORIES]
    write(root / "VQAMed2019Test" / "VQAMed2019_Test_Questions_w_Ref_Answers.txt", "".join(lines))
    draw(root / "VQAMed2019Test" / "VQAMed2019_Test_Images" / "synpic2.jpg")
    return root


def test_both_layouts_hold_the_same_questions(tmp_path: Path) -> None:
    corpora = [open_vqa_med_2019(arranged(tmp_path / "arranged")), open_vqa_med_2019(official(tmp_path / "official"))]
    for corpus in corpora:
        assert corpus.splits() == {"train": 3, "validation": 3, "test": 3}
        assert corpus.left_out == {"category is not among modality, plane, organ": 3}
        sample = corpus.sample("test", 1)
        assert (sample.texts, sample.answer, sample.answer_type) == (("what plane is this?",), "plane 2", "open")
        assert (sample.source_id, sample.attributes) == ("synpic2", {"category": "plane"})
    assert open_vqa_med_2019(tmp_path / "arranged", categories="abnormality").splits() == {"train": 1, "validation": 1, "test": 1}


def test_every_alternative_of_a_test_answer_is_correct(tmp_path: Path) -> None:
    lines = ("synpic2|organ|which organ?|the lung#heart (great) vessels#skull", "synpic2|plane|which plane?|axial")
    write(official(tmp_path) / "VQAMed2019Test" / "VQAMed2019_Test_Questions_w_Ref_Answers.txt", "\n".join(lines) + "\n")
    samples, _ = read(open_vqa_med_2019(tmp_path))
    assert [sample.answers for sample in samples["test"]] == [("lung", "heart great vessels", "heart vessels", "skull"), ("axial",)]


def test_answers_of_training_are_classes_as_they_are(tmp_path: Path) -> None:
    write(arranged(tmp_path) / "train" / "QA" / "Modality.csv", "synpic0|which modality?|ct w/contrast (iv)\n")
    assert open_vqa_med_2019(tmp_path).sample("train", 0).answers == ("ct w contrast iv",)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no category colour; it has modality"):
        open_vqa_med_2019(tmp_path, categories="modality,colour")
    with pytest.raises(DataError, match=r"no file .*train.QA.Modality\.csv; the folder"):
        open_vqa_med_2019(tmp_path)
    write(arranged(tmp_path) / "val" / "QA" / "Organ.csv", "synpic1|what organ is this?|lung\nsynpic1|what or")
    with pytest.raises(DataError, match=r"Organ\.csv, line 2 has too few fields: 2, not 3.*was the file cut off"):
        open_vqa_med_2019(tmp_path)


@pytest.mark.real_data
def test_the_real_questions(shared_data: Path) -> None:
    root = shared_data / "vqa_med_2019"
    samples, dropped = read(open_vqa_med_2019(root, categories=",".join(CATEGORIES)))
    assert not dropped
    assert {split: len(of_split) for split, of_split in samples.items()} == {"train": 1020, "validation": 152, "test": 31}
    asked = open_vqa_med_2019(root, questions="QA_full", maximum_missing=1)
    answers = {asked.items[split][index].answer for split, count in asked.splits().items() for index in range(count)}
    assert len(answers) == 72
