"""VQA-Med-2019: generated questions about MedPix images (Ben Abacha et al. 2019; questions CC BY 4.0).

Reads either the official release,

    ImageClef-2019-VQA-Med-Training/QAPairsByCategory/C1_Modality_train.txt …, Train_images/
    ImageClef-2019-VQA-Med-Validation/QAPairsByCategory/C1_Modality_val.txt …, Val_images/
    VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt, VQAMed2019_Test_Images/

or the layout of ARL's authors, ``{train,val,test}/QA/{Modality,Plane,Organ,Abnormality}.csv`` and ``{train,val,test}/images/``.
Lines are ``image|question|answer``; in the official test file ``image|category|question|answer``. All are open questions. In the test set
``#`` separates several correct answers, and parentheses enclose what an answer may leave out (official README).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.questions import OPEN, open_questions, question_item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import Answer, FileName, FilledText, FilledWord, RowSchema
from medvlp.corpora.source.tables import FieldFile
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.errors import ConfigurationError
from medvlp.values import Share

CATEGORIES = ("modality", "plane", "organ", "abnormality")
LAYOUT = "{train,val,test}/QA/*.csv and images/, or the three folders of the official release"
_FOLDERS = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
_OFFICIAL = {
    TRAIN: ("ImageClef-2019-VQA-Med-Training", "train", "Train_images"),
    VALIDATION: ("ImageClef-2019-VQA-Med-Validation", "val", "Val_images"),
}
_OFFICIAL_TEST = "VQAMed2019Test"
_TEST_FILE = f"{_OFFICIAL_TEST}/VQAMed2019_Test_Questions_w_Ref_Answers.txt"
_OPTIONAL = re.compile(r"\([^()]*\)")


class MedQuestion(RowSchema):
    """A line of a VQA-Med task; image names have no extension."""

    image: FileName
    question: FilledText
    answer: Answer


class _TestQuestion(MedQuestion):
    category: FilledWord


def open_vqa_med_2019(
    root: Path,
    *,
    categories: str = "modality,plane,organ",
    questions: str = "QA",
    normalise_answers: bool = True,
    maximum_missing: Share = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        categories: categories of the questions, separated by commas; ARL leaves out "abnormality".
        questions: folder with the questions of a split, in the layout of ARL's authors.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
        ConfigurationError: there is no such category.
    """
    chosen = tuple(category.strip() for category in categories.split(","))
    if unknown := set(chosen) - set(CATEGORIES):
        raise ConfigurationError(f"VQA-Med-2019 has no category {', '.join(sorted(unknown))}; it has {', '.join(CATEGORIES)}")
    folder = SourceFolder(root, "vqa-med-2019", LAYOUT, maximum_missing)
    items = read_vqa_med_2019(folder, "", questions, normalise_answers)
    wanted = {split: [item for item in of_split if item.attributes["category"] in chosen] for split, of_split in items.items()}
    others = sum(map(len, items.values())) - sum(map(len, wanted.values()))
    left_out = {f"category is not among {', '.join(chosen)}": others}
    return open_questions(folder, wanted, public=False, left_out=left_out)


def read_vqa_med_2019(folder: SourceFolder, below: str, questions: str, normalise: bool) -> dict[str, list[Item]]:
    """Read the questions of all categories, by split.

    Args:
        folder: the folder of the corpus.
        below: the subfolder with the files, "" or ending with "/".
        questions: see ``open_vqa_med_2019``.
        normalise: whether answers are normalised.
    """
    official = (folder.root / below / _OFFICIAL[TRAIN][0]).is_dir()
    read = _official if official else _arranged
    return {split: list(read(folder, below, split, questions, normalise)) for split in _FOLDERS}


def _arranged(folder: SourceFolder, below: str, split: str, questions: str, normalise: bool) -> Iterator[Item]:
    place = f"{below}{_FOLDERS[split]}"
    for category in CATEGORIES:
        for row in read_questions(folder, f"{place}/{questions}/{category.capitalize()}.csv"):
            yield _item(f"{place}/images", row, split, category, normalise)


def _official(folder: SourceFolder, below: str, split: str, questions: str, normalise: bool) -> Iterator[Item]:
    if split == TEST:
        file = FieldFile(folder.file(f"{below}{_TEST_FILE}"), ("image", "category", "question", "answer"), "|")
        for asked in folder.rows(file, _TestQuestion):
            yield _item(f"{below}{_OFFICIAL_TEST}/VQAMed2019_Test_Images", asked.fields, split, asked.fields.category, normalise)
        return
    release, suffix, images = _OFFICIAL[split]
    for number, category in enumerate(CATEGORIES, start=1):
        for row in read_questions(folder, f"{below}{release}/QAPairsByCategory/C{number}_{category.capitalize()}_{suffix}.txt"):
            yield _item(f"{below}{release}/{images}", row, split, category, normalise)


def read_questions(folder: SourceFolder, name: str) -> Iterator[MedQuestion]:
    """Read the lines ``image|question|answer`` of a file; the answer is the rest of its line."""
    for row in folder.rows(FieldFile(folder.file(name), ("image", "question", "answer"), "|"), MedQuestion):
        yield row.fields


def _item(place: str, row: MedQuestion, split: str, category: str, normalise: bool) -> Item:
    answers = alternatives(row.answer) if split == TEST else [row.answer]
    return med_item(place, row, answers, normalise, category=category)


def med_item(place: str, row: MedQuestion, answers: list[str], normalise: bool, **attributes: str) -> Item:
    """Create an item of a VQA-Med task; ``answers`` are all correct, the first is the reference."""
    return question_item(
        image=f"{place}/{row.image}.jpg",
        question=row.question,
        answers=answers,
        answer_type=OPEN,
        source_id=row.image,
        normalise=normalise,
        **attributes,
    )


def alternatives(answer: str) -> list[str]:
    """Return all answers that a reference answer of the test set allows: each of those between ``#``, with and without its parentheses."""
    return [spelling for one in answer.split("#") for spelling in (one, _OPTIONAL.sub(" ", one))]
