"""The common part of question-answering corpora: convert a question to an item."""

from collections.abc import Iterable, Mapping
from typing import Any

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.metrics.answers import normalise_answer

OPEN = "open"


def question_item(
    *,
    image: str,
    question: str,
    answers: Iterable[object],
    answer_type: str,
    source_id: str,
    normalise: bool,
    modality: str = "",
    group: str = "",
    **attributes: Any,
) -> Item:
    """Create an item from a question about an image.

    Args:
        image: path inside the folder.
        question: as it was asked, uncleaned.
        answers: the correct ones, the reference first; numbers become text.
        answer_type: in any letter case; some files have a space after it.
        source_id: the corpus's own id of the image.
        normalise: whether to normalise answers as in the VQA evaluation.
        modality: modality of the image.
        group: group of the image, if it is not the image alone.
        attributes: further data of the corpus; empty ones are left out.
    """
    spelled = (normalise_answer(str(answer)) if normalise else str(answer) for answer in answers)
    return Item(
        image=image,
        texts=(question,),
        source_id=source_id,
        modality=modality,
        group=group,
        answers=right_answers(spelled),
        answer_type=answer_type.strip().lower(),
        attributes={key: value for key, value in attributes.items() if value not in (None, "")},
    )


def right_answers(answers: Iterable[object]) -> tuple[str, ...]:
    """Return answers as text, without repeats and empty ones."""
    spelled = ("" if answer is None else str(answer).strip() for answer in answers)
    return tuple(dict.fromkeys(filter(None, spelled)))


def open_questions(
    folder: SourceFolder,
    items: Mapping[str, Iterable[Item]],
    *,
    public: bool,
    maximum_missing: float = MAXIMUM_MISSING,
    left_out: Mapping[str, int] | None = None,
) -> FileCorpus:
    """Open a corpus of questions; their texts are unchanged."""
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=public, minimum_words=None, left_out=left_out or {})
