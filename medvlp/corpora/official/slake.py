"""SLAKE: questions about CT, MR and X-ray images with a knowledge graph (Liu et al. 2021; CC BY 4.0).

Reads ``train.json``, ``validate.json``, ``test.json`` and ``imgs/<img_name>``. Half of the questions are in Chinese.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.questions import open_questions, question_item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.json_files import JsonList
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import Answer, FileName, FilledText, RowSchema, Word
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.values import Share

_FILES = {TRAIN: "train.json", VALIDATION: "validate.json", TEST: "test.json"}


class _Question(RowSchema):
    img_name: FileName
    question: FilledText
    answer: Answer
    answer_type: Word
    q_lang: Word
    modality: Word
    location: Word = ""
    content_type: Word = ""


def open_slake(root: Path, *, language: str = "en", normalise_answers: bool = True, maximum_missing: Share = MAXIMUM_MISSING) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        language: language of the questions: en or zh.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the rows that may be bad; ``xmlab0`` is missing from the official files.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root, "slake", "train.json, validate.json, test.json and imgs/", maximum_missing)
    files = {split: JsonList(folder.file(file)) for split, file in _FILES.items()}
    rows = {split: [row.fields for row in folder.rows(file, _Question)] for split, file in files.items()}
    asked = {split: [row for row in of_split if row.q_lang == language] for split, of_split in rows.items()}
    others = sum(map(len, rows.values())) - sum(map(len, asked.values()))
    return open_questions(
        folder,
        {split: (_item(row, normalise_answers) for row in of_split) for split, of_split in asked.items()},
        public=True,
        left_out={f"question is not in language {language}": others},
    )


def _item(row: _Question, normalise: bool) -> Item:
    return question_item(
        image=f"imgs/{row.img_name}",
        question=row.question,
        answers=(row.answer,),
        answer_type=row.answer_type,
        source_id=row.img_name.split("/")[0],
        normalise=normalise,
        modality=row.modality,
        organ=row.location,
        question_type=row.content_type,
    )
