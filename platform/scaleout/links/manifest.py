"""The manifest of a folder of links: which ontology and linker, over which shards, and how often each concept occurs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from medvlp.errors import DataError
from scaleout import storage
from scaleout.shards.manifest import MANIFEST_FILE, read_manifest

FORMAT_VERSION = 2


@dataclass(frozen=True, kw_only=True)
class LinksRecord:
    """The links of one shard."""

    name: str
    shard: str
    split: str
    texts: int
    linked_texts: int
    """Texts with at least one span."""
    spans: int
    negated_spans: int
    """Spans that the text denies; among ``spans``."""
    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class LinksManifest:
    """The links of all shards, in the order of the shards."""

    ontology: str
    ontology_fingerprint: str
    linker: str
    linker_version: str
    shards_fingerprint: str
    counts: Mapping[str, int]
    """Mentions of every concept in the training split."""
    files: tuple[LinksRecord, ...]

    @property
    def texts(self) -> int:
        """Texts looked at, over all splits."""
        return sum(file.texts for file in self.files)

    @property
    def linked_texts(self) -> int:
        """Texts with at least one span, over all splits."""
        return sum(file.linked_texts for file in self.files)

    @property
    def spans(self) -> int:
        """Spans found, over all splits."""
        return sum(file.spans for file in self.files)

    @property
    def negated_spans(self) -> int:
        """Spans that the text denies, over all splits."""
        return sum(file.negated_spans for file in self.files)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of what the links are of and what they say."""
        files = [[file.name, file.texts, file.sha256] for file in self.files]
        row = [self.ontology_fingerprint, self.linker, self.linker_version, self.shards_fingerprint, files]
        return hashlib.sha256(json.dumps(row).encode()).hexdigest()[:16]

    def of_shard(self, shard: str) -> LinksRecord:
        """The record of the links of a shard, by the shard's file name.

        Raises:
            DataError: there is none.
        """
        try:
            return self._by_shard[shard]
        except KeyError:
            raise DataError(f"the links hold nothing for shard {shard}; make them again with jobs/link.py") from None

    @cached_property
    def _by_shard(self) -> dict[str, LinksRecord]:
        return {file.shard: file for file in self.files}

    def save(self, folder: str) -> None:
        """Write ``manifest.json`` into the folder of the links; its existence says that they are complete."""
        totals = {name: getattr(self, name) for name in ("fingerprint", "texts", "linked_texts", "spans", "negated_spans")}
        record = {"version": FORMAT_VERSION, **totals, **asdict(self)}
        storage.write_bytes(storage.join(folder, MANIFEST_FILE), json.dumps(record, ensure_ascii=False, indent=1).encode())

    @classmethod
    def load(cls, folder: str) -> "LinksManifest":
        """Read what ``save`` wrote.

        Raises:
            DataError: there is no complete set of links, or the manifest is of another version or was altered.
        """
        uri = storage.join(folder, MANIFEST_FILE)
        if not storage.exists(uri):
            raise DataError(f"no complete links in {folder} ({MANIFEST_FILE} is missing); make them with jobs/link.py")
        record = read_manifest(uri, FORMAT_VERSION, "jobs/link.py")
        try:
            manifest = _from_record(record)
        except (KeyError, TypeError) as error:
            raise DataError(f"{uri} is damaged ({error}); make the links again with jobs/link.py") from error
        if manifest.fingerprint != record.get("fingerprint"):
            raise DataError(f"{uri} was altered: its fingerprint does not fit its files; make the links again with jobs/link.py")
        return manifest


def _from_record(record: dict[str, Any]) -> LinksManifest:
    return LinksManifest(
        ontology=record["ontology"],
        ontology_fingerprint=record["ontology_fingerprint"],
        linker=record["linker"],
        linker_version=record["linker_version"],
        shards_fingerprint=record["shards_fingerprint"],
        counts=record["counts"],
        files=tuple(LinksRecord(**file) for file in record["files"]),
    )
