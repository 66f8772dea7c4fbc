"""VQA-Med-2021 in both of its layouts, with what is added from 2019."""

from pathlib import Path

import pytest

from medvlp.corpora.official.vqa_med_2021 import open_vqa_med_2021
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, write
from tests.medvlp.corpora.official.test_vqa_med_2019 import arranged as arranged_2019

TRAIN = "VQA-Med-2020-Task1-VQAnswering-TrainVal-Sets/VQAMed2020-VQAnswering-TrainingSet"
VALIDATION = "VQA-Med-2021-Tasks-1-2-NewValidationSets"
TEST = "Task1-VQA-2021-TestSet-w-GroundTruth"


def arranged(root: Path) -> Path:
    for number, split in enumerate(("train", "val", "test")):
        draw(root / split / "images" / f"synpic10{number}.jpg")
        write(root / split / "label.txt", f"synpic10{number}|what is abnormal?|cyst|a mass\n")
    return root


def official(root: Path) -> Path:
    write(root / TRAIN / "VQAnswering_2020_Train_QA_pairs.txt", "synpic100|what is abnormal?|cyst|a mass\n")
    draw(root / TRAIN / "VQAnswering_2020_Train_images" / "synpic100.jpg")
    write(root / VALIDATION / "VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt", "synpic101|what is abnormal?|cyst|a mass\n")
    draw(root / VALIDATION / "ImageCLEF-2021-VQA-Med-New-Validation-Images" / "synpic101.jpg")
    write(root / TEST / "Task1-VQA-2021-TestSet-Questions.txt", "synpic102|what is abnormal?\n")
    write(root / TEST / "Task1-VQA-2021-TestSet-ReferenceAnswers.txt", "synpic102|cyst|a mass\n")
    draw(root / TEST / "VQA-500-Images" / "synpic102.jpg")
    return root


@pytest.mark.parametrize("layout", [arranged, official])
def test_questions_become_samples(tmp_path: Path, layout: object) -> None:
    samples, dropped = read(open_vqa_med_2021(layout(tmp_path)))  # type: ignore[operator]
    assert not dropped
    for split, source in (("train", "synpic100"), ("validation", "synpic101"), ("test", "synpic102")):
        (sample,) = samples[split]
        assert (sample.source_id, sample.texts, sample.answer, sample.answer_type) == (source, ("what is abnormal?",), "cyst", "open")
        assert (sample.answers, sample.attributes) == (("cyst", "mass"), {})


def test_known_abnormalities_of_2019_are_added_to_training(tmp_path: Path) -> None:
    earlier = arranged_2019(arranged(tmp_path) / "vqa_med_2019")
    write(
        earlier / "train" / "QA" / "Abnormality.csv", "synpic0|what is wrong?|a cyst\nsynpic0|what is seen?|cyst\nsynpic9|what?|fracture\n"
    )
    samples, _ = read(open_vqa_med_2021(tmp_path))
    assert [(sample.source_id, sample.answer) for sample in samples["train"]] == [("synpic100", "cyst"), ("synpic0", "cyst")]
    assert len(samples["validation"]) == len(samples["test"]) == 1


def test_a_question_without_an_answer_is_an_error(tmp_path: Path) -> None:
    write(official(tmp_path) / TEST / "Task1-VQA-2021-TestSet-ReferenceAnswers.txt", "synpic7|cyst\n")
    write(tmp_path / TEST / "Task1-VQA-2021-TestSet-Questions.txt", "synpic102|what is abnormal?\n" * 2)
    with pytest.raises(DataError, match="line 1 has no reference answer"):
        open_vqa_med_2021(tmp_path)
    with pytest.raises(DataError, match=r"no file .*train.label\.txt; the folder of corpus 'vqa-med-2021'"):
        open_vqa_med_2021(tmp_path / TEST)
