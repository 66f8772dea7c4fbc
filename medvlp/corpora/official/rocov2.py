"""ROCOv2: radiology figures of PubMed Central, captions and concepts re-checked (Rückert et al. 2024).

Reads ``{train,valid,test}_captions.csv`` (columns ID, Caption), ``{train,valid,test}_concepts.csv`` (ID, CUIs joined by ";") if they exist,
and the images ``<ID>.jpg`` in ``train/``, ``train_images/`` or ``train_images/train/`` (likewise for the other splits).
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import FileName, FilledWord, RowSchema, Text, Word
from medvlp.corpora.source.tables import CsvFile
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.values import CountOrZero, Share

_NAMES = {TRAIN: "train", VALIDATION: "valid", TEST: "test"}


class _Caption(RowSchema):
    identifier: FileName = Field(alias="ID")
    caption: Text = Field(alias="Caption")


class _Concepts(RowSchema):
    identifier: FilledWord = Field(alias="ID")
    concepts: Word = Field(alias="CUIs")


def open_rocov2(root: Path, *, minimum_words: CountOrZero = 3, maximum_missing: Share = MAXIMUM_MISSING) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root, "rocov2", "{train,valid,test}_captions.csv and {train,valid,test}_images/", maximum_missing)
    items = {split: _items(folder, name) for split, name in _NAMES.items()}
    return FileCorpus.hold(folder, items, public=False, minimum_words=minimum_words)


def _items(folder: SourceFolder, name: str) -> Iterator[Item]:
    concepts = {}
    if (path := folder.optional_file(f"{name}_concepts.csv")) is not None:
        rows = folder.lookup(CsvFile(path, ("ID", "CUIs")), _Concepts)
        concepts = {row.fields.identifier: row.fields.concepts.split(";") for row in rows if row.fields.concepts}
    places = (f"{name}_images/{name}", f"{name}_images", name)
    place = next((place for place in places if (folder.root / place).is_dir()), places[1])
    for row in folder.rows(CsvFile(folder.file(f"{name}_captions.csv"), ("ID", "Caption")), _Caption):
        identifier = row.fields.identifier
        known = {"concepts": concepts[identifier]} if identifier in concepts else {}
        yield Item(image=f"{place}/{identifier}.jpg", texts=(row.fields.caption,), source_id=identifier, attributes=known)
