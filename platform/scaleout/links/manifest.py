"""The manifest of a folder of links: ontology, linker, shards, and the count of each concept."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import get_type_hints

from scaleout.io.manifest import check_fingerprint, check_stated, read_manifest, write_manifest
from scaleout.io.record_table import Digest, RecordTable

FORMAT_VERSION = 4
_WHAT, _MAKER = "links", "jobs/link.py"
_IDENTITY = ("ontology", "ontology_fingerprint", "linker", "linker_version", "shards_fingerprint")
_FACTS = (*_IDENTITY, "counts", "linked_texts", "spans", "negated_spans")


@dataclass(frozen=True, kw_only=True)
class LinksRecord:
    """The links of one shard."""

    name: str
    texts: int
    bytes: int
    sha256: Digest


@dataclass(frozen=True, kw_only=True)
class LinksManifest:
    """The links of all shards, in the order of the shards."""

    ontology: str
    ontology_fingerprint: str
    linker: str
    linker_version: str
    shards_fingerprint: str
    counts: Mapping[str, int]
    """Number of mentions of every concept in the training split."""
    files: RecordTable[LinksRecord]
    linked_texts: int = 0
    """Number of texts with at least one span, over all splits."""
    spans: int = 0
    """Number of spans, over all splits."""
    negated_spans: int = 0
    """Number of negated spans, over all splits; included in ``spans``."""

    @property
    def texts(self) -> int:
        """Number of linked texts, over all splits."""
        return self.files.total("texts")

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the inputs and the content of the links."""
        files = self.files.digest("name", "texts", "sha256")
        row = [self.ontology_fingerprint, self.linker, self.linker_version, self.shards_fingerprint, files]
        return hashlib.sha256(json.dumps(row).encode()).hexdigest()[:16]

    def save(self, folder: str) -> None:
        """Write the manifest to the folder of the links; its existence marks them as complete."""
        facts = {"version": FORMAT_VERSION, **{name: getattr(self, name) for name in ("fingerprint", "texts", *_FACTS)}}
        write_manifest(folder, facts, self.files)

    @classmethod
    def load(cls, folder: str) -> "LinksManifest":
        """Read what ``save`` wrote.

        Raises:
            DataError: there is no complete set of links, or the manifest has another version or was changed.
        """
        types = {name: hint for name, hint in get_type_hints(cls).items() if name in _FACTS} | {"texts": int}
        facts, files = read_manifest(folder, LinksRecord, FORMAT_VERSION, types, _WHAT, _MAKER)
        fingerprint, texts = facts.pop("fingerprint"), facts.pop("texts")
        manifest = cls(files=files, **facts)
        check_fingerprint(folder, fingerprint, manifest.fingerprint, _WHAT, _MAKER)
        check_stated(folder, {"texts": texts}, {"texts": manifest.texts}, _WHAT, _MAKER)
        return manifest
