"""MELINDA: figures of biomedical papers, classified by experiment method (Wu et al. 2021).

Reads ``train.csv``, ``dev.csv``, ``test.csv`` (columns figure_file, caption, i_meth, p_meth, i_meth_label, p_meth_label) and
``melinda_images/``. The class is the sample's answer, and its ``answer_type`` names its column; all columns are labels too, each a separate
label set. Captions are unchanged, as in ARL.
"""

from collections.abc import Iterator
from pathlib import Path

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import CsvFile
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.questions import open_questions, right_answers
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.data.sample import Label
from medvlp.errors import ConfigurationError

LABELS = ("i_meth", "p_meth", "i_meth_label", "p_meth_label")
_FILES = {TRAIN: "train.csv", VALIDATION: "dev.csv", TEST: "test.csv"}


def open_melinda(
    root: Path, *, label: str = "p_meth_label", images: str = "melinda_images", maximum_missing: float = MAXIMUM_MISSING
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        label: the column with the classes.
        images: the folder of the figures, inside ``root``.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
        ConfigurationError: there is no such column.
    """
    if label not in LABELS:
        raise ConfigurationError(f"MELINDA has no label column {label!r}; it has {', '.join(LABELS)}")
    folder = SourceFolder(root, "melinda", f"train.csv, dev.csv, test.csv and {images}/")
    items = {
        split: _items(CsvFile(folder.file(file), ("figure_file", "caption", *LABELS)), label, images) for split, file in _FILES.items()
    }
    return open_questions(folder, items, public=False, maximum_missing=maximum_missing)


def _items(file: CsvFile, label: str, images: str) -> Iterator[Item]:
    for _, row in file.rows():
        yield Item(
            image=f"{images}/{row['figure_file']}",
            texts=(row["caption"],),
            source_id=row["figure_file"],
            answers=right_answers([row[label]]),
            answer_type=label,
            labels=tuple(Label(name, row[name]) for name in LABELS if row[name]),
        )
