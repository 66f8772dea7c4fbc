"""VQA-RAD: clinicians' questions about radiology images of MedPix (Lau et al. 2018; CC0).

Reads ``trainset.json``, ``testset.json``, ``valset.json`` if there is one, and ``images/``. There is no official validation set, and
all images of the test set occur in the training set. Without ``valset.json`` the training questions are divided by image: for the fraction
``validation_share`` of the images, chosen by a hash of (``seed``, name of the image), all questions go to validation. So no image and no
paraphrase of a question is in both; the remaining training set still shares its images with the test set.
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
        validation_share: fraction of the training images whose questions go to validation, if there is no ``valset.json``.
        seed: seed of that hash.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
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
