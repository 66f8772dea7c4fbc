"""VQA-Med-2021: questions about abnormalities (Ben Abacha et al. 2021).

Reads either the official releases (training is that of 2020),

    VQA-Med-2020-Task1-VQAnswering-TrainVal-Sets/VQAMed2020-VQAnswering-TrainingSet/VQAnswering_2020_Train_QA_pairs.txt,
        VQAnswering_2020_Train_images/
    VQA-Med-2021-Tasks-1-2-NewValidationSets/VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt,
        ImageCLEF-2021-VQA-Med-New-Validation-Images/
    Task1-VQA-2021-TestSet-w-GroundTruth/Task1-VQA-2021-TestSet-Questions.txt, Task1-VQA-2021-TestSet-ReferenceAnswers.txt,
        VQA-500-Images/ or images/VQA-500-Images/

or the layout of ARL's authors, ``{train,val,test}/label.txt`` and ``{train,val,test}/images/``. Lines are
``image|question|answer``; all answers of a line are correct, the first is the reference. As ARL does, questions of VQA-Med-2019 about
abnormalities are added to training if their answer occurs here and their image does not: they are read from ``vqa_med_2019/``, if it
exists, in either layout of that corpus.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import read_fields
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.official.vqa_med_2019 import med_question, read_vqa_med_2019
from medvlp.corpora.questions import open_questions
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.errors import DataError

_FOLDERS = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
_TRAIN = "VQA-Med-2020-Task1-VQAnswering-TrainVal-Sets/VQAMed2020-VQAnswering-TrainingSet"
_VALIDATION = "VQA-Med-2021-Tasks-1-2-NewValidationSets"
_OFFICIAL = {
    TRAIN: (f"{_TRAIN}/VQAnswering_2020_Train_QA_pairs.txt", f"{_TRAIN}/VQAnswering_2020_Train_images"),
    VALIDATION: (
        f"{_VALIDATION}/VQA-Med-2021-VQAnswering-Task1-New-ValidationSet.txt",
        f"{_VALIDATION}/ImageCLEF-2021-VQA-Med-New-Validation-Images",
    ),
}
_TEST = "Task1-VQA-2021-TestSet-w-GroundTruth"
_EARLIER = "vqa_med_2019"


def open_vqa_med_2021(root: Path, *, normalise_answers: bool = True, maximum_missing: float = MAXIMUM_MISSING) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    layout = "{train,val,test}/label.txt and images/, or the three folders of the official releases"
    folder = SourceFolder(root, "vqa-med-2021", layout)
    read = _official if (root / _TRAIN).is_dir() else _arranged
    items = {split: list(read(folder, split, normalise_answers)) for split in _FOLDERS}
    if (root / _EARLIER).is_dir():
        earlier = read_vqa_med_2019(folder, f"{_EARLIER}/", "QA", normalise_answers)
        items[TRAIN] += _additions(items, (item for of_split in earlier.values() for item in of_split))
    return open_questions(folder, items, public=False, maximum_missing=maximum_missing)


def _additions(items: dict[str, list[Item]], earlier: Iterable[Item]) -> list[Item]:
    answers = {item.answer for of_split in items.values() for item in of_split}
    images = {item.source_id for of_split in items.values() for item in of_split}
    added = []
    for item in earlier:
        if item.attributes["category"] == "abnormality" and item.answer in answers and item.source_id not in images:
            images.add(item.source_id)
            added.append(item)
    return added


def _arranged(folder: SourceFolder, split: str, normalise: bool) -> Iterator[Item]:
    place = _FOLDERS[split]
    for image, question, answer in read_fields(folder.file(f"{place}/label.txt"), 3, "|"):
        yield _question(f"{place}/images", image, question, answer, normalise)


def _official(folder: SourceFolder, split: str, normalise: bool) -> Iterator[Item]:
    if split != TEST:
        file, images = _OFFICIAL[split]
        for image, question, answer in read_fields(folder.file(file), 3, "|"):
            yield _question(images, image, question, answer, normalise)
        return
    answers = dict(read_fields(folder.file(f"{_TEST}/Task1-VQA-2021-TestSet-ReferenceAnswers.txt"), 2, "|"))
    inside = "images/VQA-500-Images" if (folder.root / _TEST / "images").is_dir() else "VQA-500-Images"
    for image, question in read_fields(folder.file(f"{_TEST}/Task1-VQA-2021-TestSet-Questions.txt"), 2, "|"):
        if image not in answers:
            raise DataError(f"{folder.root / _TEST}: the question about {image} has no reference answer; was a file cut off?")
        yield _question(f"{_TEST}/{inside}", image, question, answers[image], normalise)


def _question(place: str, image: str, question: str, answers: str, normalise: bool) -> Item:
    first, *others = answers.split("|")
    return med_question(place, image, question, first, normalise, *others)
