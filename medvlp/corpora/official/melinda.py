"""MELINDA: figures of biomedical papers, classified by experiment method (Wu et al. 2021).

Reads ``train.csv``, ``dev.csv``, ``test.csv`` (columns figure_file, caption, i_meth, p_meth, i_meth_label, p_meth_label) and
``melinda_images/``. The class is the sample's answer, and its ``answer_type`` names its column; all columns are labels too, each a separate
label set. Captions are unchanged, as in ARL.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import create_model

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.questions import open_questions
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import FileName, FilledWord, RowSchema, Text, Word
from medvlp.corpora.source.tables import CsvFile
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.data.sample import Label
from medvlp.errors import ConfigurationError
from medvlp.values import Share

LABELS = ("i_meth", "p_meth", "i_meth_label", "p_meth_label")
_FILES = {TRAIN: "train.csv", VALIDATION: "dev.csv", TEST: "test.csv"}


class _Figure(RowSchema):
    figure_file: FileName
    caption: Text
    i_meth: Word
    p_meth: Word
    i_meth_label: Word
    p_meth_label: Word


def open_melinda(
    root: Path, *, label: str = "p_meth_label", images: str = "melinda_images", maximum_missing: Share = MAXIMUM_MISSING
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        label: the column with the classes.
        images: the folder of the figures, inside ``root``.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
        ConfigurationError: there is no such column.
    """
    if label not in LABELS:
        raise ConfigurationError(f"MELINDA has no label column {label!r}; it has {', '.join(LABELS)}")
    folder = SourceFolder(root, "melinda", f"train.csv, dev.csv, test.csv and {images}/", maximum_missing)
    schema = create_model("_Labelled", __base__=_Figure, **{label: (FilledWord, ...)})  # type: ignore[call-overload]
    items = {split: _items(folder, file, schema, label, images) for split, file in _FILES.items()}
    return open_questions(folder, items, public=False)


def _items(folder: SourceFolder, file: str, schema: type[_Figure], label: str, images: str) -> Iterator[Item]:
    for row in folder.rows(CsvFile(folder.file(file), tuple(_Figure.model_fields)), schema):
        figure = row.fields
        yield Item(
            image=f"{images}/{figure.figure_file}",
            texts=(figure.caption,),
            source_id=figure.figure_file,
            answers=(getattr(figure, label),),
            answer_type=label,
            labels=tuple(Label(name, value) for name in LABELS if (value := getattr(figure, name))),
        )
