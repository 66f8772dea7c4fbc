"""The manifest of a folder of shards: what was written, and what every reader checks against."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from medvlp.errors import DataError
from scaleout import storage

FORMAT_VERSION = 1
MANIFEST_FILE = "manifest.json"
TOKENIZER_FOLDER = "tokenizer"


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """One tar file and what is in it."""

    name: str
    split: str
    first_key: int
    """Key of the first item of its range. Keys ascend; a dropped item leaves a gap."""
    rows: int
    texts: int
    bytes: int
    sha256: str
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Items left out, by reason."""
    modalities: Mapping[str, int] = field(default_factory=dict)
    words: Mapping[str, int] = field(default_factory=dict)
    """How many texts have so many words."""


@dataclass(frozen=True, kw_only=True)
class ShardManifest:
    """All shards of a corpus, in the order of their keys."""

    corpus: str
    public: bool
    """Whether pictures of its images may be logged without being asked for."""
    shards: tuple[ShardRecord, ...]
    source: str = ""
    """Fingerprint of what the corpus was read from."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Rows of the official files that are no items, by reason."""

    @property
    def splits(self) -> dict[str, int]:
        """Rows of every split."""
        return dict(self._sums(lambda shard: {shard.split: shard.rows}))

    @property
    def texts(self) -> dict[str, int]:
        """Texts of every split."""
        return dict(self._sums(lambda shard: {shard.split: shard.texts}))

    @property
    def dropped(self) -> dict[str, dict[str, int]]:
        """Items left out: counts by split and reason."""
        return {split: self._sums_in(split, lambda shard: shard.dropped) for split in self.splits}

    @property
    def modalities(self) -> dict[str, dict[str, int]]:
        """Rows by split and modality."""
        return {split: self._sums_in(split, lambda shard: shard.modalities) for split in self.splits}

    @property
    def words(self) -> dict[str, dict[int, int]]:
        """Texts by split and number of words."""
        return {
            split: {int(words): texts for words, texts in self._sums(lambda shard: shard.words, split).items()} for split in self.splits
        }

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content of all shards."""
        rows = [[shard.name, shard.split, shard.rows, shard.sha256] for shard in self.shards]
        return hashlib.sha256(json.dumps([self.corpus, rows]).encode()).hexdigest()[:16]

    def shards_of(self, split: str) -> tuple[ShardRecord, ...]:
        """The shards of a split that hold any row.

        Raises:
            DataError: there are none.
        """
        found = tuple(shard for shard in self.shards if shard.split == split and shard.rows)
        if not found:
            raise DataError(f"the shards of corpus {self.corpus!r} hold no split {split!r}, only {', '.join(self.splits) or 'nothing'}")
        return found

    def save(self, folder: str) -> None:
        """Write ``manifest.json`` into the folder of the shards; its existence says that they are complete."""
        record = {
            "version": FORMAT_VERSION,
            "corpus": self.corpus,
            "public": self.public,
            "source": self.source,
            "left_out": dict(self.left_out),
            "fingerprint": self.fingerprint,
            "splits": self.splits,
            "texts": self.texts,
            "dropped": self.dropped,
            "modalities": self.modalities,
            "shards": [asdict(shard) for shard in self.shards],
        }
        storage.write_bytes(storage.join(folder, MANIFEST_FILE), json.dumps(record, ensure_ascii=False, indent=1).encode())

    @classmethod
    def load(cls, folder: str) -> "ShardManifest":
        """Read what ``save`` wrote.

        Raises:
            DataError: there is no complete set of shards, or the manifest is of another version or was altered.
        """
        uri = storage.join(folder, MANIFEST_FILE)
        if not storage.exists(uri):
            raise DataError(f"no complete shards in {folder} ({MANIFEST_FILE} is missing); make them with jobs/prepare.py")
        record = read_manifest(uri, FORMAT_VERSION, "jobs/prepare.py")
        try:
            shards = tuple(ShardRecord(**shard) for shard in record["shards"])
            fields = {name: record[name] for name in ("source", "left_out") if name in record}
            manifest = cls(corpus=record["corpus"], public=record["public"], shards=shards, **fields)
        except (KeyError, TypeError) as error:
            raise DataError(f"{uri} is damaged ({error}); make the shards again with jobs/prepare.py") from error
        if manifest.fingerprint != record.get("fingerprint"):
            raise DataError(f"{uri} was altered: its fingerprint does not fit its shards; make them again with jobs/prepare.py")
        return manifest

    def _sums(self, counts: Callable[[ShardRecord], Mapping[str, int]], split: str | None = None) -> Counter[str]:
        total: Counter[str] = Counter()
        for shard in self.shards:
            if split in (None, shard.split):
                total.update(counts(shard))
        return total

    def _sums_in(self, split: str, counts: Callable[[ShardRecord], Mapping[str, int]]) -> dict[str, int]:
        return dict(sorted(self._sums(counts, split).items()))


def read_manifest(uri: str, version: int, maker: str) -> dict[str, Any]:
    """A manifest's JSON object, of the version that this code reads.

    Raises:
        DataError: it is damaged or of another version.
    """
    try:
        record = json.loads(storage.read_bytes(uri))
        found = record["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{uri} is damaged ({error}); make it again with {maker}") from error
    if found != version:
        raise DataError(f"{uri} is of version {found}, this code reads {version}; make it again with {maker}")
    return dict(record)
