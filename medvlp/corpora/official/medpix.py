"""MedPix 2.0: CT and MR images of teaching cases (Siragusa et al. 2024).

Reads ``splitted_dataset/descriptions_{train,dev,test}.jsonl`` (training also in two parts, ``_train_1`` and ``_train_2``),
``Case_topic.json`` and ``images/<image>.png``. All images of a case are in one split.
"""

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from medvlp.corpora.file_corpus import FileCorpus
from medvlp.corpora.items import Item
from medvlp.corpora.source.folder import SourceFolder
from medvlp.corpora.source.json_files import JsonLines, JsonList
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.source.schema import FileName, FilledWord, RowSchema, Text, Word
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.values import CountOrZero, Share

_NAMES = {TRAIN: "train", VALIDATION: "dev", TEST: "test"}


class _Description(RowSchema):
    caption: Text = Field(default="", alias="Caption")
    modality: Word = Field(default="", alias="Modality")
    plane: Word = Field(default="", alias="Plane")


class _Image(RowSchema):
    image: FileName
    description: _Description = Field(alias="Description")
    case: Word = Field(default="", alias="U_id")
    modality: Word = Field(default="", alias="Type")
    location: Word = Field(default="", alias="Location")
    location_category: Word = Field(default="", alias="Location Category")


class _Findings(RowSchema):
    findings: Text = Field(default="", alias="Findings")
    diagnosis: Word = Field(default="", alias="Case Diagnosis")


class _Case(RowSchema):
    identifier: FilledWord = Field(alias="U_id")
    content: _Findings | None = Field(default=None, alias="Case")


def open_medpix(
    root: Path, *, case_findings: bool = False, minimum_words: CountOrZero = 3, maximum_missing: Share = MAXIMUM_MISSING
) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        case_findings: whether to add the findings of the case, which may describe its other images, as a second text of each image.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the rows that may be bad.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    layout = "splitted_dataset/descriptions_{train,dev,test}.jsonl, Case_topic.json and images/"
    folder = SourceFolder(root, "medpix", layout, maximum_missing)
    rows = folder.lookup(JsonList(folder.file("Case_topic.json")), _Case)
    cases = {row.fields.identifier: row.fields.content or _Findings() for row in rows}
    items = {split: _items(folder, name, cases, case_findings) for split, name in _NAMES.items()}
    return FileCorpus.hold(folder, items, public=False, minimum_words=minimum_words)


def _items(folder: SourceFolder, name: str, cases: dict[str, _Findings], case_findings: bool) -> Iterator[Item]:
    parts = [f"splitted_dataset/descriptions_{name}.jsonl"]
    if name == "train" and not (folder.root / parts[0]).is_file():
        parts = [f"splitted_dataset/descriptions_{name}_{part}.jsonl" for part in (1, 2)]
    for part in parts:
        for row in folder.rows(JsonLines(folder.file(part)), _Image):
            yield _item(row.fields, cases.get(row.fields.case, _Findings()), case_findings)


def _item(row: _Image, case: _Findings, case_findings: bool) -> Item:
    attributes = {
        "acquisition": row.description.modality,
        "plane": row.description.plane,
        "location": row.location,
        "location_category": row.location_category,
        "diagnosis": case.diagnosis,
    }
    texts = (row.description.caption, case.findings if case_findings else "")
    return Item(
        image=f"images/{row.image}.png",
        texts=tuple(filter(None, texts)),
        source_id=row.image,
        group=f"case_id={row.case}" if row.case else "",
        modality=row.modality,
        attributes={key: value for key, value in attributes.items() if value},
    )
