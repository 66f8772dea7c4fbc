"""The manifest of a folder of shards, against which every reader checks."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from typing import Any, get_type_hints

import numpy as np

from medvlp.errors import DataError
from scaleout.io.manifest import check_fingerprint, check_stated, read_manifest, write_manifest
from scaleout.io.record_table import Digest, RecordTable

FORMAT_VERSION = 3
KEY_DIGITS = 9
TOKENIZER_FOLDER = "tokenizer"
_WHAT, _MAKER = "shards", "jobs/prepare.py"
_DERIVED = ("splits", "texts")
_FACTS = ("corpus", "public", "source", "left_out", "dropped", "modalities", "words")

Counts = Mapping[str, Mapping[str, int]]
"""Counts by split and name."""


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """One tar file and its content."""

    name: str
    split: str
    first_key: int
    """Key of the first item of its range. Keys ascend; a dropped item leaves a gap."""
    rows: int
    texts: int
    bytes: int
    sha256: Digest
    sidecar_bytes: int
    """Hash of the sidecar file with its samples without images."""
    sidecar_sha256: Digest


@dataclass(frozen=True, kw_only=True)
class ShardManifest:
    """All shards of a corpus, in the order of their keys."""

    corpus: str
    public: bool
    """Whether pictures of its images may be logged by default."""
    shards: RecordTable[ShardRecord]
    source: str = ""
    """Fingerprint of the source files of the corpus."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Rows of the official files that are not items, by reason."""
    dropped: Counts = field(default_factory=dict)
    """Dropped items, by reason."""
    modalities: Counts = field(default_factory=dict)
    """Rows by modality."""
    words: Counts = field(default_factory=dict)
    """Number of texts by word count."""

    @cached_property
    def splits(self) -> dict[str, int]:
        """Number of rows of every split."""
        return self.shards.totals("rows", by="split")

    @cached_property
    def texts(self) -> dict[str, int]:
        """Number of texts of every split."""
        return self.shards.totals("texts", by="split")

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content of all shards."""
        content = self.shards.digest("name", "split", "rows", "sha256")
        return hashlib.sha256(f"{self.corpus}\n{content}".encode()).hexdigest()[:16]

    def shards_of(self, split: str) -> RecordTable[ShardRecord]:
        """Return the non-empty shards of a split.

        Raises:
            DataError: there are none.
        """
        return self.shards.take(self.places_of(split))

    def places_of(self, split: str) -> np.ndarray:
        """Return the indices of the non-empty shards of a split, int64.

        Raises:
            DataError: there are none.
        """
        places = self.shards.where(split=split)
        places = places[self.shards.column("rows")[places] > 0]
        if not len(places):
            filled = ", ".join(name for name, rows in self.splits.items() if rows) or "none"
            raise DataError(f"the shards of corpus {self.corpus!r} contain no sample of split {split!r}; splits with samples: {filled}")
        return places

    def save(self, folder: str) -> None:
        """Write the manifest to the folder of the shards; its existence marks them as complete."""
        facts = {
            "version": FORMAT_VERSION,
            **{name: getattr(self, name) for name in ("fingerprint", *_DERIVED, *_FACTS)},
        }
        write_manifest(folder, facts, self.shards)

    @classmethod
    def load(cls, folder: str) -> "ShardManifest":
        """Read what ``save`` wrote.

        Raises:
            DataError: there is no complete set of shards, or the manifest has another version or was changed.
        """
        types = {name: hint for name, hint in get_type_hints(cls).items() if name in _FACTS} | dict.fromkeys(_DERIVED, dict[str, int])
        facts, shards = read_manifest(folder, ShardRecord, FORMAT_VERSION, types, _WHAT, _MAKER)
        fingerprint, *stated = (facts.pop(name) for name in ("fingerprint", *_DERIVED))
        manifest = cls(shards=shards, **facts)
        check_fingerprint(folder, fingerprint, manifest.fingerprint, _WHAT, _MAKER)
        derived = {name: getattr(manifest, name) for name in _DERIVED}
        check_stated(folder, dict(zip(_DERIVED, stated, strict=True)), derived, _WHAT, _MAKER)
        return manifest


def sample_key(number: int) -> str:
    """Return the key of an item; its members in a shard are named KEY.jpg or KEY.png, and KEY.json."""
    return f"{number:0{KEY_DIGITS}d}"


def first_key(splits: Mapping[str, int], split: str) -> int:
    """The key of the first item of a split: keys run over the splits in their order."""
    return sum(items for _, items in takewhile(lambda each: each[0] != split, splits.items()))


class Tally:
    """Sums counts over a stream of records, by split, without keeping the records."""

    def __init__(self, *names: str) -> None:
        """``names``: names of the counts."""
        self._sums: dict[str, dict[str, Counter[str]]] = {name: {} for name in names}

    def over(self, records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield the same records and count them."""
        for record in records:
            for name, sums in self._sums.items():
                sums.setdefault(record["split"], Counter()).update(record.get(name, {}))
            yield record

    def __getitem__(self, name: str) -> dict[str, dict[str, int]]:
        """Return the sums of one of the counts, by split."""
        return {split: dict(sorted(counts.items())) for split, counts in self._sums[name].items()}
