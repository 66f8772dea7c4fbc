"""VQA-Med-2019: generated questions about MedPix images (Ben Abacha et al. 2019; questions CC BY 4.0).

Reads either the official release,

    ImageClef-2019-VQA-Med-Training/QAPairsByCategory/C1_Modality_train.txt …, Train_images/
    ImageClef-2019-VQA-Med-Validation/QAPairsByCategory/C1_Modality_val.txt …, Val_images/
    VQAMed2019Test/VQAMed2019_Test_Questions_w_Ref_Answers.txt, VQAMed2019_Test_Images/

or the layout of ARL's authors, ``{train,val,test}/QA/{Modality,Plane,Organ,Abnormality}.csv`` and ``{train,val,test}/images/``.
Lines are ``image|question|answer``; in the official test file ``image|category|question|answer``. All are open questions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import read_fields
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.questions import OPEN, open_questions, question_item
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.errors import ConfigurationError

CATEGORIES = ("modality", "plane", "organ", "abnormality")
LAYOUT = "{train,val,test}/QA/*.csv and images/, or the three folders of the official release"
_FOLDERS = {TRAIN: "train", VALIDATION: "val", TEST: "test"}
_OFFICIAL = {
    TRAIN: ("ImageClef-2019-VQA-Med-Training", "train", "Train_images"),
    VALIDATION: ("ImageClef-2019-VQA-Med-Validation", "val", "Val_images"),
}
_OFFICIAL_TEST = "VQAMed2019Test"
_TEST_FILE = f"{_OFFICIAL_TEST}/VQAMed2019_Test_Questions_w_Ref_Answers.txt"


def open_vqa_med_2019(
    root: Path,
    *,
    categories: str = "modality,plane,organ",
    questions: str = "QA",
    normalise_answers: bool = True,
    maximum_missing: float = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        categories: categories of the questions, separated by commas; ARL leaves out "abnormality".
        questions: folder with the questions of a split, in the layout of ARL's authors.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
        ConfigurationError: there is no such category.
    """
    chosen = tuple(category.strip() for category in categories.split(","))
    if unknown := set(chosen) - set(CATEGORIES):
        raise ConfigurationError(f"VQA-Med-2019 has no category {', '.join(sorted(unknown))}; it has {', '.join(CATEGORIES)}")
    folder = SourceFolder(root, "vqa-med-2019", LAYOUT)
    items = read_vqa_med_2019(folder, "", questions, normalise_answers)
    wanted = {split: [item for item in of_split if item.attributes["category"] in chosen] for split, of_split in items.items()}
    others = sum(map(len, items.values())) - sum(map(len, wanted.values()))
    left_out = {f"category is not among {', '.join(chosen)}": others}
    return open_questions(folder, wanted, public=False, maximum_missing=maximum_missing, left_out=left_out)


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
        for image, question, answer in read_fields(folder.file(f"{place}/{questions}/{category.capitalize()}.csv"), 3, "|"):
            yield med_question(f"{place}/images", image, question, answer, normalise, category=category)


def _official(folder: SourceFolder, below: str, split: str, questions: str, normalise: bool) -> Iterator[Item]:
    if split == TEST:
        for image, category, question, answer in read_fields(folder.file(f"{below}{_TEST_FILE}"), 4, "|"):
            place = f"{below}{_OFFICIAL_TEST}/VQAMed2019_Test_Images"
            yield med_question(place, image, question, answer, normalise, category=category)
        return
    release, suffix, images = _OFFICIAL[split]
    for number, category in enumerate(CATEGORIES, start=1):
        file = folder.file(f"{below}{release}/QAPairsByCategory/C{number}_{category.capitalize()}_{suffix}.txt")
        for image, question, answer in read_fields(file, 3, "|"):
            yield med_question(f"{below}{release}/{images}", image, question, answer, normalise, category=category)


def med_question(place: str, image: str, question: str, answer: str, normalise: bool, *others: str, **attributes: Any) -> Item:
    """Create a question of a VQA-Med task, with image names without extension; ``others`` are correct answers too."""
    return question_item(
        image=f"{place}/{image}.jpg",
        question=question,
        answers=(answer, *others),
        answer_type=OPEN,
        source_id=image,
        normalise=normalise,
        **attributes,
    )
