"""What the question-answering corpora share: how a question becomes an item."""

from collections.abc import Iterable, Mapping
from typing import Any

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.metrics.answers import normalise_answer

OPEN = "open"


def question_item(
    *, image: str, question: str, answer: object, answer_type: str, source_id: str, normalise: bool, modality: str = "", **attributes: Any
) -> Item:
    """A question about an image.

    Args:
        image: path inside the folder.
        question: as it was asked, uncleaned.
        answer: numbers are written out.
        answer_type: of any case; some files have a space behind it.
        source_id: the corpus's own id of the image.
        normalise: whether the answer is spelled as VQA compares answers.
        modality: of the image.
        attributes: what else the corpus says; empty ones are left out.
    """
    spelled = normalise_answer(str(answer)) if normalise else str(answer).strip()
    return Item(
        image=image,
        texts=(question,),
        source_id=source_id,
        modality=modality,
        answer=spelled,
        answer_type=answer_type.strip().lower(),
        attributes={key: value for key, value in attributes.items() if value not in (None, "")},
    )


def open_questions(
    folder: SourceFolder,
    items: Mapping[str, Iterable[Item]],
    *,
    public: bool,
    maximum_missing: float = MAXIMUM_MISSING,
    left_out: Mapping[str, int] | None = None,
) -> FileCorpus:
    """A corpus of questions: their texts are left as they are."""
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=public, minimum_words=None, left_out=left_out or {})
