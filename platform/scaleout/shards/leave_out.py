"""A corpus without some of its samples: those that leak into a benchmark, or those of a person."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medvlp.corpora.corpus import Corpus, Grouping
from medvlp.data.sample import Excluded, Sample
from medvlp.errors import DataError
from scaleout.shards.manifest import Counts, first_key

REASON = "image is in a benchmark"
_HASH = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class ReducedCorpus:
    """A corpus without some of its items, which are counted as dropped."""

    corpus: Corpus
    keys: frozenset[int] = frozenset()
    """Keys of the left-out items in shards of the corpus."""
    groups: frozenset[str] = frozenset()
    """Hashed groups that are left out: patients, cases."""

    @classmethod
    def of(cls, corpus: Corpus, list_file: Path) -> "ReducedCorpus":
        """Leave out what a file lists: a report of ``jobs/leaks.py``, or hashed groups, one on a line.

        Raises:
            DataError: the file is neither, or the report's shards were made from other files.
        """
        try:
            content = list_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {list_file}: {error}") from error
        groups = content.split()
        if groups and all(map(_HASH.fullmatch, groups)):
            return cls(corpus, groups=frozenset(groups))
        try:
            record = json.loads(content)
            source = record["source"]
            keys = frozenset(int(key) for part in record["leaks"].values() for key in part["keys"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{list_file} is neither a report of jobs/leaks.py nor a list of hashed groups ({error})") from error
        if source != corpus.fingerprint:
            raise DataError(
                f"{list_file} is about shards made from files with fingerprint {source}, "
                f"those of corpus {corpus.name!r} have {corpus.fingerprint}"
            )
        return cls(corpus, keys)

    @property
    def name(self) -> str:
        """The name of the corpus."""
        return self.corpus.name

    @property
    def public(self) -> bool:
        """Whether the corpus is public."""
        return self.corpus.public

    @property
    def left_out(self) -> Mapping[str, int]:
        """The rows that the corpus leaves out."""
        return self.corpus.left_out

    @property
    def rejected(self) -> int:
        """The number of rows that do not match their schema."""
        return self.corpus.rejected

    @property
    def maximum_missing(self) -> float:
        """The fraction of rows that may be bad."""
        return self.corpus.maximum_missing

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the corpus and of the left-out items."""
        left_out = [sorted(self.keys), sorted(self.groups)] if self.groups else [sorted(self.keys)]
        return hashlib.sha256(json.dumps([self.corpus.fingerprint, *left_out]).encode()).hexdigest()[:16]

    @property
    def grouping(self) -> Grouping:
        """The groups of the corpus."""
        return self.corpus.grouping

    def splits(self) -> dict[str, int]:
        """The splits of the corpus: left-out items count as dropped, so that every other sample keeps its key."""
        return self.corpus.splits()

    def sample(self, split: str, index: int) -> Sample:
        """See ``Corpus``."""
        if first_key(self.splits(), split) + index in self.keys:
            raise Excluded(REASON)
        sample = self.corpus.sample(split, index)
        if sample.group in self.groups:
            raise Excluded(group_reason(sample.group))
        return sample

    def where(self, split: str, index: int) -> str:
        """See ``Corpus``."""
        return self.corpus.where(split, index)

    def check_groups(self, dropped: Counts) -> None:
        """Check that every left-out group was found.

        Args:
            dropped: dropped items by split and reason.

        Raises:
            DataError: no sample is of one of the groups; a wrong hash must not pass for a removal.
        """
        found = {reason for of_split in dropped.values() for reason in of_split}
        if absent := sorted(group for group in self.groups if group_reason(group) not in found):
            raise DataError(
                f"no sample of corpus {self.name!r} is of the group {', '.join(absent)}, so nothing was left out for it; "
                "the groups are in the column `group` of samples/*.parquet beside the shards"
            )


def group_reason(group: str) -> str:
    """Return the reason under which the samples of a left-out group are counted."""
    return f"group {group} is left out"
