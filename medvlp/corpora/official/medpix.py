"""MedPix 2.0: CT and MR images of teaching cases (Siragusa et al. 2024).

Reads ``splitted_dataset/descriptions_{train,dev,test}.jsonl`` (training also in two parts, ``_train_1`` and ``_train_2``),
``Case_topic.json`` and ``images/<image>.png``. All images of a case are in one split.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medvlp.corpora.file_corpus import MAXIMUM_MISSING, FileCorpus
from medvlp.corpora.files import JsonLines, Row, read_json_rows
from medvlp.corpora.folder import SourceFolder
from medvlp.corpora.items import Item
from medvlp.corpora.splits import TEST, TRAIN, VALIDATION
from medvlp.errors import DataError

_NAMES = {TRAIN: "train", VALIDATION: "dev", TEST: "test"}


def open_medpix(root: Path, *, case_findings: bool = False, minimum_words: int = 3, maximum_missing: float = MAXIMUM_MISSING) -> FileCorpus:
    """Open the corpus.

    Args:
        root: the folder.
        case_findings: whether to add the findings of the case, which may describe its other images, as a second text of each image.
        minimum_words: shorter texts are left out.
        maximum_missing: fraction of the images that may be missing.

    Raises:
        DataError: a file is missing, truncated or invalid.
    """
    layout = "splitted_dataset/descriptions_{train,dev,test}.jsonl, Case_topic.json and images/"
    folder = SourceFolder(root, "medpix", layout)
    cases = {case["U_id"]: case.get("Case") or {} for case in read_json_rows(folder.file("Case_topic.json"), ("U_id",))}
    items = {split: _items(folder, name, cases, case_findings) for split, name in _NAMES.items()}
    return FileCorpus.hold(folder, items, maximum_missing=maximum_missing, public=False, minimum_words=minimum_words)


def _items(folder: SourceFolder, name: str, cases: dict[str, Row], case_findings: bool) -> Iterator[Item]:
    parts = [f"splitted_dataset/descriptions_{name}.jsonl"]
    if name == "train" and not (folder.root / parts[0]).is_file():
        parts = [f"splitted_dataset/descriptions_{name}_{part}.jsonl" for part in (1, 2)]
    for part in parts:
        file = JsonLines(folder.file(part))
        for number, (_, row) in enumerate(file.rows(), start=1):
            if not isinstance(row.get("image"), str) or not isinstance(row.get("Description"), dict):
                raise DataError(f"{file.path}, row {number} has no image and Description")
            yield _item(row, cases.get(row.get("U_id", ""), {}), case_findings)


def _item(row: Row, case: Row, case_findings: bool) -> Item:
    description = row["Description"]
    attributes: dict[str, Any] = {
        "acquisition": description.get("Modality"),
        "plane": description.get("Plane"),
        "location": row.get("Location"),
        "location_category": row.get("Location Category"),
        "diagnosis": case.get("Case Diagnosis"),
    }
    texts = [description.get("Caption") or "", (case.get("Findings") or "") if case_findings else ""]
    return Item(
        image=f"images/{row['image']}.png",
        texts=tuple(filter(None, texts)),
        source_id=row["image"],
        group=f"case_id={row['U_id']}" if row.get("U_id") else "",
        modality=row.get("Type", ""),
        attributes={key: value for key, value in attributes.items() if value},
    )
