"""COVID chest X-ray: radiographs from publications with clinical notes (Cohen et al. 2020; a licence for each image).

Reads ``metadata.csv`` (columns patientid, finding, view, modality, folder, filename, license, clinical_notes …) and the images
``<folder>/<filename>``. Only X-rays with notes: CT slices and volumes are left out. There is no official split: a hash of (``seed``,
patient) divides patients between training and validation.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import CsvFile, Row
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.identity import named
from medvlp.corpora.items import Item
from medvlp.corpora.splits import deal

_COLUMNS = ("patientid", "finding", "view", "modality", "folder", "filename", "license", "clinical_notes")
_MODALITY = "X-ray"


def open_covid_chestxray(
    root: Path, *, validation_share: float = 0.1, seed: int = 0, minimum_words: int = 3, maximum_missing: float = MAXIMUM_MISSING
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation_share: fraction of the patients for validation.
        seed: seed of that hash.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root, "covid-chestxray", "metadata.csv and images/")
    rows = [row for _, row in CsvFile(folder.file("metadata.csv"), _COLUMNS).rows()]
    radiographs = [row for row in rows if row["modality"] == _MODALITY]
    rows_by_group = ((item, item.group, "") for item in map(_item, radiographs))
    items = deal(rows_by_group, validation_share, seed)
    left_out = {"image is not an X-ray": len(rows) - len(radiographs)}
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=True, minimum_words=minimum_words, left_out=left_out)


def _item(row: Row) -> Item:
    return Item(
        image=f"{row['folder']}/{row['filename']}",
        texts=(row["clinical_notes"],),
        source_id=Path(row["filename"]).stem,
        modality=row["modality"],
        group=named(row["patientid"]) or row["filename"],
        attributes={name: row[name] for name in ("finding", "view", "license") if row[name]},
    )
