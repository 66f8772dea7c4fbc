"""VQA-RAD: clinicians' questions about radiology images of MedPix (Lau et al. 2018; CC0).

Reads ``trainset.json``, ``testset.json``, ``valset.json`` if there is one, and ``images/``. There is no official validation set, and
all images of the test set occur in the training set. Without ``valset.json`` the training questions are divided by image: for the fraction
``validation_share`` of the images, chosen by a hash of (``seed``, name of the image), all questions go to validation. So no image and no
paraphrase of a question is in both; the remaining training set still shares its images with the test set.
"""

from pathlib import Path

from medvlp.corpora.corpus import STATED
from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.questions import open_questions, question_item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.json_files import JsonList
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import Answer, FileName, FilledText, RowSchema, Word
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION, deal, drawn_by_group
from medvlp.values import AnyInteger, Share


class _Question(RowSchema):
    image_name: FileName
    question: FilledText
    answer: Answer
    answer_type: Word
    image_organ: Word = ""
    question_type: Word = ""
    phrase_type: Word = ""


def open_vqa_rad(
    root: Path,
    *,
    validation_share: Share = 0.1,
    seed: AnyInteger = 0,
    normalise_answers: bool = True,
    maximum_missing: Share = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation_share: fraction of the training images whose questions go to validation, if there is no ``valset.json``.
        seed: seed of that hash.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root, "vqa-rad", "trainset.json, testset.json and images/", maximum_missing)
    train = _read(folder, folder.file("trainset.json"))
    test = _read(folder, folder.file("testset.json"))
    if (stated := folder.optional_file("valset.json")) is not None:
        rows = {TRAIN: train, VALIDATION: _read(folder, stated), TEST: test}
    else:
        folder.division = f"{drawn_by_group(validation_share)}; the test split is {STATED}"
        rows = {**deal(((row, row.image_name, "") for row in train), validation_share, seed), TEST: test}
    items = {split: (_item(row, normalise_answers) for row in of_split) for split, of_split in rows.items()}
    return open_questions(folder, items, public=True)


def _read(folder: SourceFolder, path: Path) -> list[_Question]:
    return [row.fields for row in folder.rows(JsonList(path), _Question)]


def _item(row: _Question, normalise: bool) -> Item:
    return question_item(
        image=f"images/{row.image_name}",
        question=row.question,
        answers=(row.answer,),
        answer_type=row.answer_type,
        source_id=Path(row.image_name).stem,
        normalise=normalise,
        organ=row.image_organ,
        question_type=row.question_type,
        phrase_type=row.phrase_type,
    )
