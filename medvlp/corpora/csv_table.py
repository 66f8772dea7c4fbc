"""Any corpus in a table: a folder with a CSV file with a header, and images.

Columns are named as the fields of ``captions.jsonl`` (see ``jsonl.py``); image, text and modality may have other names.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.plain import PlainForm, open_plain
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.tables import CsvFile, delimiter_called
from medvlp.values import CountOrZero, Share


def open_csv(
    root: Path,
    *,
    file: str = "captions.csv",
    delimiter: str = ",",
    image_column: str = "image",
    text_column: str = "text",
    modality_column: str = "modality",
    patient_column: str = "",
    name: str | None = None,
    public: bool = False,
    minimum_words: CountOrZero = 3,
    validation_share: Share = 0.1,
    maximum_missing: Share = MAXIMUM_MISSING,
    burned_in: str = "drop",
) -> FileCorpus:
    """Index the rows of the table.

    Args:
        root: the folder.
        file: the table, a path inside the folder.
        delimiter: separator of its fields: one character, or tab.
        image_column: column with image paths inside the folder.
        text_column: column with captions or questions.
        modality_column: column with the modality, if there is one.
        patient_column: column with the patient, whose images stay in one split; by default the widest group that a known name states.
        name: name of the corpus; by default the folder name.
        public: whether pictures of its images may be logged.
        minimum_words: shorter texts are left out.
        validation_share: fraction of the rows that go to validation, if none states a split.
        maximum_missing: fraction of the rows that may be bad: without image, or with values of the wrong kind.
        burned_in: see ``BurnedIn``; for DICOM files.

    Raises:
        DataError: the table is missing, cut off, or lacks a column, or too many rows are bad.
        ConfigurationError: the delimiter cannot separate fields.
    """
    folder = SourceFolder(root, "csv", f"{file} and images", maximum_missing)
    return open_plain(
        folder,
        CsvFile(folder.file(file), tuple(filter(None, (image_column, text_column, patient_column))), delimiter_called(delimiter)),
        PlainForm(image=image_column, text=text_column, modality=modality_column, patient=patient_column),
        name=name,
        public=public,
        minimum_words=minimum_words,
        validation_share=validation_share,
        burned_in=burned_in,
    )
