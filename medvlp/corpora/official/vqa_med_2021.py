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

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.official.vqa_med_2019 import MedQuestion, med_item, read_questions, read_vqa_med_2019
from medvlp.corpora.questions import open_questions
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import Answer, FileName, FilledText, RowSchema
from medvlp.corpora.source.tables import FieldFile
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.values import Share

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


class _Asked(RowSchema):
    image: FileName
    question: FilledText


class _Answered(RowSchema):
    image: FileName
    answer: Answer


def open_vqa_med_2021(root: Path, *, normalise_answers: bool = True, maximum_missing: Share = MAXIMUM_MISSING) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    layout = "{train,val,test}/label.txt and images/, or the three folders of the official releases"
    folder = SourceFolder(root, "vqa-med-2021", layout, maximum_missing)
    read = _official if (root / _TRAIN).is_dir() else _arranged
    items = {split: list(read(folder, split, normalise_answers)) for split in _FOLDERS}
    if (root / _EARLIER).is_dir():
        earlier = read_vqa_med_2019(folder, f"{_EARLIER}/", "QA", normalise_answers)
        items[TRAIN] += _additions(items, (item for of_split in earlier.values() for item in of_split))
    return open_questions(folder, items, public=False)


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
    for row in read_questions(folder, f"{place}/label.txt"):
        yield _item(f"{place}/images", row, normalise)


def _official(folder: SourceFolder, split: str, normalise: bool) -> Iterator[Item]:
    if split != TEST:
        file, images = _OFFICIAL[split]
        for row in read_questions(folder, file):
            yield _item(images, row, normalise)
        return
    references = FieldFile(folder.file(f"{_TEST}/Task1-VQA-2021-TestSet-ReferenceAnswers.txt"), ("image", "answer"), "|")
    answers = {row.fields.image: row.fields.answer for row in folder.lookup(references, _Answered)}
    inside = "images/VQA-500-Images" if (folder.root / _TEST / "images").is_dir() else "VQA-500-Images"
    questions = FieldFile(folder.file(f"{_TEST}/Task1-VQA-2021-TestSet-Questions.txt"), ("image", "question"), "|")
    for asked in folder.rows(questions, _Asked):
        answer = answers.get(asked.fields.image)
        if answer is None:
            folder.reject(asked.where, "has no reference answer: was a file cut off?")
        else:
            yield _item(f"{_TEST}/{inside}", MedQuestion(**asked.fields.model_dump(), answer=answer), normalise)


def _item(place: str, row: MedQuestion, normalise: bool) -> Item:
    return med_item(place, row, row.answer.split("|"), normalise)
