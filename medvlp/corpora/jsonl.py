"""Any corpus in a plain format: a folder with ``captions.jsonl`` and images.

Each line is a JSON object with ``image`` (a path inside the folder) and ``text`` or ``texts``. Optional fields are ``source_id``,
``split``, a modality, ``answer`` or ``answers`` (all are correct, the first is the reference) and ``answer_type``. Other fields become
attributes, except those that identify a person or an examination.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.plain import PlainForm, open_plain
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.json_files import JsonLines
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.values import CountOrZero, Share

CAPTIONS_FILE = "captions.jsonl"


def open_jsonl(
    root: Path,
    *,
    name: str | None = None,
    public: bool = False,
    modality_field: str = "modality",
    patient_column: str = "",
    minimum_words: CountOrZero = 3,
    validation_share: Share = 0.1,
    maximum_missing: Share = MAXIMUM_MISSING,
    burned_in: str = "drop",
) -> FileCorpus:
    """Index the rows of the file.

    Args:
        root: the folder.
        name: name of the corpus; by default the folder name.
        public: whether pictures of its images may be logged.
        modality_field: the field with the modality.
        patient_column: the field with the patient, whose images stay in one split; by default the widest group that a known name states.
        minimum_words: shorter texts are left out.
        validation_share: fraction of the rows that go to validation, if none states a split.
        maximum_missing: fraction of the rows that may be bad: without image, or with values of the wrong kind.
        burned_in: see ``BurnedIn``; for DICOM files.

    Raises:
        DataError: ``captions.jsonl`` is missing, or too many rows are bad.
    """
    folder = SourceFolder(root, "jsonl", f"{CAPTIONS_FILE} and images", maximum_missing)
    return open_plain(
        folder,
        JsonLines(folder.file(CAPTIONS_FILE)),
        PlainForm(modality=modality_field, patient=patient_column),
        name=name,
        public=public,
        minimum_words=minimum_words,
        validation_share=validation_share,
        burned_in=burned_in,
    )
