"""The common part of question-answering corpora: convert a question to an item."""

from collections.abc import Iterable, Mapping
from typing import Any

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.metrics.answers import normalise_answer

OPEN = "open"


def question_item(
    *,
    image: str,
    question: str,
    answers: Iterable[str],
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
        answers: the correct ones, the reference first.
        answer_type: in any letter case.
        source_id: the corpus's own id of the image.
        normalise: whether to normalise answers as in the VQA evaluation.
        modality: modality of the image.
        group: group of the image, if it is not the image alone.
        attributes: further data of the corpus; empty ones are left out.
    """
    spelled = (normalise_answer(answer) if normalise else answer.strip() for answer in answers)
    return Item(
        image=image,
        texts=(question,),
        source_id=source_id,
        modality=modality,
        group=group,
        answers=tuple(dict.fromkeys(filter(None, spelled))),
        answer_type=answer_type.lower(),
        attributes={key: value for key, value in attributes.items() if value not in (None, "")},
    )


def open_questions(
    folder: SourceFolder, items: Mapping[str, Iterable[Item]], *, public: bool, left_out: Mapping[str, int] | None = None
) -> FileCorpus:
    """Open a corpus of questions; their texts are unchanged."""
    return FileCorpus.hold(folder, items, public=public, minimum_words=None, left_out=left_out)
