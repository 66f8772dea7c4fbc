"""ROCOv2: radiology figures of PubMed Central, captions and concepts re-checked (Rückert et al. 2024).

Reads ``{train,valid,test}_captions.csv`` (columns ID, Caption), ``{train,valid,test}_concepts.csv`` (ID, CUIs joined by ";") if they exist,
and the images ``<ID>.jpg`` in ``train/``, ``train_images/`` or ``train_images/train/`` (likewise for the other splits).
"""

from collections.abc import Iterator
from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import CsvFile
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION

_NAMES = {TRAIN: "train", VALIDATION: "valid", TEST: "test"}


def open_rocov2(root: Path, *, minimum_words: int = 3, maximum_missing: float = MAXIMUM_MISSING) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    folder = SourceFolder(root, "rocov2", "{train,valid,test}_captions.csv and {train,valid,test}_images/")
    items = {split: _items(folder, name) for split, name in _NAMES.items()}
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=False, minimum_words=minimum_words)


def _items(folder: SourceFolder, name: str) -> Iterator[Item]:
    concepts = {}
    if (path := folder.optional_file(f"{name}_concepts.csv")) is not None:
        concepts = {row["ID"]: row["CUIs"].split(";") for _, row in CsvFile(path, ("ID", "CUIs")).rows()}
    places = (f"{name}_images/{name}", f"{name}_images", name)
    place = next((place for place in places if (folder.root / place).is_dir()), places[1])
    for _, row in CsvFile(folder.file(f"{name}_captions.csv"), ("ID", "Caption")).rows():
        known = {"concepts": concepts[row["ID"]]} if row["ID"] in concepts else {}
        yield Item(image=f"{place}/{row['ID']}.jpg", texts=(row["Caption"],), source_id=row["ID"], attributes=known)
