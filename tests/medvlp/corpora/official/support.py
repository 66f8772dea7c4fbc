"""Small files in official layouts, and all that a corpus makes of them."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from medvlp.corpora.corpus import Corpus
from medvlp.data.sample import Dropped, Sample


def draw(path: Path, shade: int = 0) -> None:
    """Write a small grey image, in the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (16, 12), shade).save(path)


def write(path: Path, content: str) -> None:
    """Write a text file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a JSON list."""
    write(path, json.dumps(rows))


def write_json_lines(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write an object on every line."""
    write(path, "".join(json.dumps(row) + "\n" for row in rows))


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def read(corpus: Corpus) -> tuple[dict[str, list[Sample]], Counter[str]]:
    """All samples by split, and how many were dropped by reason."""
    samples: dict[str, list[Sample]] = {}
    dropped: Counter[str] = Counter()
    for split, count in corpus.splits().items():
        samples[split] = []
        for index in range(count):
            try:
                samples[split].append(corpus.sample(split, index))
            except Dropped as drop:
                dropped[drop.reason] += 1
    return samples, dropped


def sources(samples: Iterable[Sample]) -> set[str]:
    """The ids of the images."""
    return {sample.source_id for sample in samples}
