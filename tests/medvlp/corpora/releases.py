"""A small valid release of every corpus that is read from files, to be changed field by field."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.medvlp.corpora.official import (
    test_covid_chestxray,
    test_iu_xray,
    test_medicat,
    test_medpix,
    test_mimic_cxr,
    test_roco,
    test_rocov2,
    test_slake,
    test_vqa_med_2019,
    test_vqa_med_2021,
    test_vqa_rad,
)
from tests.medvlp.corpora.official.support import draw, write_csv, write_json, write_json_lines
from tests.medvlp.corpora.official.test_melinda import ROW


def _plain(root: Path) -> list[dict[str, Any]]:
    draw(root / "a.jpg")
    fields = {"modality": "CT", "answer": "yes", "answer_type": "closed", "source_id": "s", "patient_id": 7, "plane": "axial"}
    return [{"image": "a.jpg", "text": "A small nodule is seen", "split": split, **fields} for split in ("train", "train", "val", "test")]


def _jsonl(root: Path) -> None:
    rows = [{**row, "texts": ["One caption of it", "And another one"], "answers": ["yes", 2]} for row in _plain(root)]
    write_json_lines(root / "captions.jsonl", rows)


def _slake(root: Path) -> None:
    draw(root / "imgs" / "xmlab0" / "source.jpg")
    for name in ("train", "validate", "test"):
        write_json(root / f"{name}.json", [test_slake.question(0), test_slake.question(0, q_lang="zh")])


def _vqa_rad(root: Path) -> None:
    draw(root / "images" / "synpic1.jpg")
    for name in ("trainset", "testset", "valset"):
        write_json(root / f"{name}.json", [test_vqa_rad.question(number, "synpic1.jpg") for number in range(2)])


def _melinda(root: Path) -> None:
    draw(root / "melinda_images" / "1.png")
    for name in ("train", "dev", "test"):
        write_csv(root / f"{name}.csv", [ROW, ROW])


def _roco(root: Path) -> None:
    test_roco.make(root)
    for number, split in enumerate(("train", "val", "test")):
        said = [{"roco_image_id": f"PMC{number}{place}_figure.jpg", "gorc_references": ["As figure 1 shows, this."]} for place in range(3)]
        write_json_lines(root / "said" / f"roco_{split}_references.jsonl", said)


RELEASES: Mapping[str, tuple[Callable[[Path], Any], dict[str, Any], int]] = {
    "jsonl": (_jsonl, {}, 4),
    "csv": (lambda root: write_csv(root / "captions.csv", _plain(root)), {}, 4),
    "roco": (_roco, {"references": "said"}, 12),
    "rocov2": (lambda root: test_rocov2.make(root, "{}"), {}, 3),
    "medicat": (
        lambda root: test_medicat.make(root, [test_medicat.figure(number) for number in range(6)]),
        {"validation": 1, "test": 1},
        6,
    ),
    "mimic-cxr": (test_mimic_cxr.make, {}, 5),
    "medpix": (test_medpix.make, {"case_findings": True}, 3),
    "iu-xray": (lambda root: test_iu_xray.make(root, 3), {}, 6),
    "covid-chestxray": (
        lambda root: test_covid_chestxray.make(root, [test_covid_chestxray.row(number, number) for number in range(4)]),
        {},
        4,
    ),
    "vqa-rad": (_vqa_rad, {}, 6),
    "slake": (_slake, {}, 6),
    "vqa-med-2019": (test_vqa_med_2019.official, {"categories": ",".join(test_vqa_med_2019.CATEGORIES)}, 12),
    "vqa-med-2021": (test_vqa_med_2021.official, {}, 3),
    "melinda": (_melinda, {}, 6),
}
"""How to write it, the options to open it with, and its number of rows."""
INDEX_FILES = (".json", ".jsonl", ".csv", ".txt", ".xml")


def changed(path: Path, content: str, row: int, column: int, value: Any) -> str:
    """Return an index file with another value in one field of a row; both are counted modulo their number."""
    if path.suffix in (".json", ".jsonl"):
        rows = json.loads(content) if path.suffix == ".json" else [json.loads(line) for line in content.splitlines()]
        _set(rows[row % len(rows)], column, value)
        return json.dumps(rows) if path.suffix == ".json" else "".join(json.dumps(each) + "\n" for each in rows)
    text = value if isinstance(value, str) else json.dumps(value)
    if path.suffix == ".csv":
        table = list(csv.reader(io.StringIO(content, newline="")))
        cells = table[1 + row % (len(table) - 1)]
        cells[column % len(cells)] = text
        buffer = io.StringIO(newline="")
        csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(table)
        return buffer.getvalue()
    separators = {".txt": "|" if "|" in content else "\t", ".xml": ">"}
    lines = content.removesuffix("\n").split("\n")
    fields = lines[row % len(lines)].split(separators[path.suffix])
    fields[column % len(fields)] = text.replace("\n", " ").replace("\r", " ")
    lines[row % len(lines)] = separators[path.suffix].join(fields)
    return "\n".join(lines) + "\n"


def _set(row: dict[str, Any], column: int, value: Any) -> None:
    places = list(_places(row))
    inside, name = places[column % len(places)]
    inside[name] = value


def _places(value: Any) -> Iterable[tuple[Any, Any]]:
    for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield value, name
        if isinstance(inner, dict | list):
            yield from _places(inner)
