"""COVID chest X-ray: radiographs from publications with clinical notes (Cohen et al. 2020; a licence for each image).

Reads ``metadata.csv`` (columns patientid, finding, view, modality, folder, filename, license, clinical_notes …) and the images
``<folder>/<filename>``. Only X-rays with notes: CT slices and volumes are left out. There is no official split: a hash of (``seed``,
patient) divides patients between training and validation.
"""

from pathlib import Path

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.identity import named
from medvlp.corpora.items import Item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import FileName, RowSchema, Text, Word
from medvlp.corpora.source.tables import CsvFile
from medvlp.corpora.splits import deal, drawn_by_group
from medvlp.values import AnyInteger, CountOrZero, Share

_MODALITY = "X-ray"


class _Row(RowSchema):
    patientid: Word
    finding: Word
    view: Word
    modality: Word
    folder: FileName
    filename: FileName
    license: Word
    clinical_notes: Text


def open_covid_chestxray(
    root: Path,
    *,
    validation_share: Share = 0.1,
    seed: AnyInteger = 0,
    minimum_words: CountOrZero = 3,
    maximum_missing: Share = MAXIMUM_MISSING,
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        validation_share: fraction of the patients for validation.
        seed: seed of that hash.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root, "covid-chestxray", "metadata.csv and images/", maximum_missing)
    table = CsvFile(folder.file("metadata.csv"), tuple(_Row.model_fields))
    rows = [row.fields for row in folder.rows(table, _Row)]
    radiographs = [row for row in rows if row.modality == _MODALITY]
    rows_by_group = ((item, item.group, "") for item in map(_item, radiographs))
    folder.division = drawn_by_group(validation_share)
    items = deal(rows_by_group, validation_share, seed)
    left_out = {"image is not an X-ray": len(rows) - len(radiographs)}
    return FileCorpus.hold(folder, items, public=True, minimum_words=minimum_words, left_out=left_out)


def _item(row: _Row) -> Item:
    return Item(
        image=f"{row.folder}/{row.filename}",
        texts=(row.clinical_notes,),
        source_id=Path(row.filename).stem,
        modality=row.modality,
        group=named(row.patientid) or row.filename,
        attributes={name: value for name in ("finding", "view", "license") if (value := getattr(row, name))},
    )
