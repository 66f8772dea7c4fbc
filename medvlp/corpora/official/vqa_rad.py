"""VQA-RAD: clinicians' questions about radiology images of MedPix (Lau et al. 2018; CC0).

Reads ``trainset.json``, ``testset.json``, ``valset.json`` if there is one, and ``images/``. There is no official validation set, and
all images of the test set occur in the training set. Without ``valset.json`` the training questions are dealt by image: the share
``validation_share`` of the images, drawn by a hash of (``seed``, name of the image), gives all its questions to validation. So no
image and no paraphrase of a question is in both; what is left of training still shares its images with the test set.
"""

from collections.abc import Iterable
from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import Row, read_json_rows
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.questions import open_questions, question_item
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION, deal

_KEYS = ("qid", "image_name", "question", "answer", "answer_type")


def open_vqa_rad(
    root: Path,
    *,
    validation_share: float = 0.1,
    seed: int = 0,
    normalise_answers: bool = True,
    maximum_missing: float = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation_share: share of the training images whose questions are for validation, where there is no ``valset.json``.
        seed: of that draw.
        normalise_answers: spell answers as VQA compares them.
        maximum_missing: share of the images that may be missing.

    Raises:
        DataError: a file is missing, cut off, or not what it should be.
    """
    folder = SourceFolder(root, "vqa-rad", "trainset.json, testset.json and images/")
    train = read_json_rows(folder.file("trainset.json"), _KEYS)
    test = read_json_rows(folder.file("testset.json"), _KEYS)
    if (stated := folder.optional_file("valset.json")) is not None:
        rows = {TRAIN: train, VALIDATION: read_json_rows(stated, _KEYS), TEST: test}
    else:
        rows = {**deal(((row, row["image_name"], "") for row in train), validation_share, seed), TEST: test}
    items = {split: _items(of_split, normalise_answers) for split, of_split in rows.items()}
    return open_questions(folder, items, public=True, maximum_missing=maximum_missing)


def _items(rows: Iterable[Row], normalise: bool) -> Iterable[Item]:
    return (
        question_item(
            image=f"images/{row['image_name']}",
            question=row["question"],
            answers=(row["answer"],),
            answer_type=row["answer_type"],
            source_id=Path(row["image_name"]).stem,
            normalise=normalise,
            organ=row.get("image_organ"),
            question_type=row.get("question_type"),
            phrase_type=row.get("phrase_type"),
        )
        for row in rows
    )
