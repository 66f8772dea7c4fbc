"""What is left out of shards on request: samples that leak into a benchmark, or those of a person."""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from medvlp.corpora.corpus import Corpus
from medvlp.data.sample import Excluded, Sample
from medvlp.errors import DataError
from medvlp.json_values import parse_object
from scaleout.io import storage
from scaleout.shards.manifest import Counts, first_key

LEAK = "image is in a benchmark"
_HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class LeftOutItems:
    """Items that are counted as dropped, so that every other one keeps its key."""

    keys: frozenset[int] = frozenset()
    """Keys of items in shards of the corpus."""
    groups: frozenset[str] = frozenset()
    """Hashed groups: patients, cases."""

    @classmethod
    def read(cls, uri: str | Path, corpus: Corpus) -> "LeftOutItems":
        """Read a report of ``jobs/leaks.py``, or a list of hashed groups, one on a line.

        Raises:
            DataError: the file is neither, or the report's shards were made from other files than ``corpus``.
        """
        try:
            content = storage.read_bytes(uri).decode()
        except UnicodeDecodeError as error:
            raise DataError(f"cannot read {uri}: {error}") from error
        groups = content.split()
        if groups and all(map(_HASH.fullmatch, groups)):
            return cls(groups=frozenset(groups))
        try:
            record = parse_object(content)
            source = record["source"]
            keys = frozenset(int(key) for part in record["leaks"].values() for key in part["keys"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{uri} is neither a report of jobs/leaks.py nor a list of hashed groups ({error})") from error
        if source != corpus.fingerprint:
            raise DataError(
                f"{uri} is about shards made from files with fingerprint {source}, "
                f"those of corpus {corpus.name!r} have {corpus.fingerprint}"
            )
        return cls(keys=keys)

    def source(self, corpus: Corpus) -> str:
        """Return the fingerprint of the source files and of what is left out of them."""
        lists = [sorted(each) for each in (self.keys, self.groups) if each]
        return hashlib.sha256(json.dumps([corpus.fingerprint, *lists]).encode()).hexdigest()[:16] if lists else corpus.fingerprint

    def sample(self, corpus: Corpus, split: str, index: int) -> Sample:
        """Return a sample of ``corpus``.

        Raises:
            Excluded: it is left out.
            Dropped: see ``Corpus.sample``.
        """
        if self.keys and first_key(corpus.splits(), split) + index in self.keys:
            raise Excluded(LEAK)
        sample = corpus.sample(split, index)
        if sample.group in self.groups:
            raise Excluded(_reason(sample.group))
        return sample

    def check_groups(self, dropped: Counts) -> None:
        """Check that every group was found.

        Args:
            dropped: dropped items by split and reason.

        Raises:
            DataError: no sample is of one of the groups; a wrong hash must not pass for a removal.
        """
        found = {reason for of_split in dropped.values() for reason in of_split}
        if absent := sorted(group for group in self.groups if _reason(group) not in found):
            raise DataError(
                f"no sample is of the group {', '.join(absent)}, so nothing was left out for it; "
                "the groups are in the column `group` of samples/*.parquet beside the shards"
            )


def _reason(group: str) -> str:
    return f"group {group} is left out"
