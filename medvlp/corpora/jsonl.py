"""Any corpus that somebody has brought into one plain form: a folder with ``captions.jsonl`` and images.

On each line a JSON object with ``image`` (a path inside the folder) and ``text`` or ``texts``. Optional fields are ``source_id``,
``split``, a modality, ``answer`` or ``answers`` (all are right, the first is the reference) and ``answer_type``. Other fields become
attributes, except those that identify a person or an examination.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import JsonLines
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.plain import PlainForm, open_plain

CAPTIONS_FILE = "captions.jsonl"


def open_jsonl(
    root: Path,
    *,
    name: str | None = None,
    public: bool = False,
    modality_field: str = "modality",
    minimum_words: int = 3,
    validation_share: float = 0.1,
    maximum_missing: float = MAXIMUM_MISSING,
    burned_in: str = "drop",
) -> FileCorpus:
    """Read which rows there are.

    Args:
        root: the folder.
        name: of the corpus; by default the folder's.
        public: whether pictures of its images may be logged.
        modality_field: the field with the modality.
        minimum_words: shorter texts are left out.
        validation_share: of the rows that have no split.
        maximum_missing: share of the images that may be missing.
        burned_in: see ``BurnedIn``; for DICOM files.

    Raises:
        DataError: ``captions.jsonl`` is missing, or a line of it is not what it should be.
    """
    folder = SourceFolder(root, "jsonl", f"{CAPTIONS_FILE} and images")
    return open_plain(
        folder,
        JsonLines(folder.file(CAPTIONS_FILE)),
        PlainForm(modality=modality_field),
        name=name,
        public=public,
        minimum_words=minimum_words,
        validation_share=validation_share,
        maximum_missing=maximum_missing,
        burned_in=burned_in,
    )
