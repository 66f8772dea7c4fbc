"""What the question-answering corpora share: how a question becomes an item."""

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
    """A question about an image.

    Args:
        image: path inside the folder.
        question: as it was asked, uncleaned.
        answers: those that are right, the reference first; numbers are written out.
        answer_type: of any case; some files have a space after it.
        source_id: the corpus's own id of the image.
        normalise: whether answers are spelled as VQA compares answers.
        modality: of the image.
        group: what the image belongs to, if that is more than itself.
        attributes: what else the corpus says; empty ones are left out.
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
    """Answers as text, each once, without those that say nothing."""
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
    """A corpus of questions: their texts are left as they are."""
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=public, minimum_words=None, left_out=left_out or {})
