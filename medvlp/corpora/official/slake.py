"""SLAKE: questions about CT, MR and X-ray images with a knowledge graph (Liu et al. 2021; CC BY 4.0).

Reads ``train.json``, ``validate.json``, ``test.json`` and ``imgs/<img_name>``. Half of the questions are in Chinese.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import Row, read_json_rows
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.questions import open_questions, question_item
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION

_FILES = {TRAIN: "train.json", VALIDATION: "validate.json", TEST: "test.json"}
_KEYS = ("img_name", "question", "answer", "answer_type", "q_lang", "modality")


def open_slake(root: Path, *, language: str = "en", normalise_answers: bool = True, maximum_missing: float = MAXIMUM_MISSING) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        language: language of the questions: en or zh.
        normalise_answers: normalise answers as in the VQA evaluation.
        maximum_missing: fraction of the images that may be missing; ``xmlab0`` is missing from the official files.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root, "slake", "train.json, validate.json, test.json and imgs/")
    rows = {split: read_json_rows(folder.file(file), _KEYS) for split, file in _FILES.items()}
    asked = {split: [row for row in of_split if row["q_lang"] == language] for split, of_split in rows.items()}
    others = sum(map(len, rows.values())) - sum(map(len, asked.values()))
    return open_questions(
        folder,
        {split: (_item(row, normalise_answers) for row in of_split) for split, of_split in asked.items()},
        public=True,
        maximum_missing=maximum_missing,
        left_out={f"question is not in language {language}": others},
    )


def _item(row: Row, normalise: bool) -> Item:
    return question_item(
        image=f"imgs/{row['img_name']}",
        question=row["question"],
        answers=(row["answer"],),
        answer_type=row["answer_type"],
        source_id=row["img_name"].split("/")[0],
        normalise=normalise,
        modality=row["modality"],
        organ=row.get("location"),
        question_type=row.get("content_type"),
    )
