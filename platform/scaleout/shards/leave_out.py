"""A corpus without the samples that leak into a benchmark."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medvlp.corpora.corpus import Corpus
from medvlp.data.sample import Excluded, Sample
from medvlp.errors import DataError
from scaleout.shards.manifest import first_key

REASON = "image is in a benchmark"


@dataclass(frozen=True)
class LeakFree:
    """A corpus without some of its items, which are counted as dropped."""

    corpus: Corpus
    keys: frozenset[int]
    """Keys of the items in shards of the corpus."""

    @classmethod
    def of(cls, corpus: Corpus, report: Path) -> "LeakFree":
        """Leave out the samples listed in a report of ``jobs/leaks.py``.

        Raises:
            DataError: the file is not such a report, or its shards were made from other files.
        """
        try:
            record = json.loads(report.read_bytes())
            source = record["source"]
            keys = frozenset(int(key) for part in record["leaks"].values() for key in part["keys"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{report} is not a report of jobs/leaks.py ({error})") from error
        if source != corpus.fingerprint:
            raise DataError(
                f"{report} is about shards made from files with fingerprint {source}, "
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
        return hashlib.sha256(json.dumps([self.corpus.fingerprint, sorted(self.keys)]).encode()).hexdigest()[:16]

    def splits(self) -> dict[str, int]:
        """The splits of the corpus: left-out items count as dropped, so that every other sample keeps its key."""
        return self.corpus.splits()

    def sample(self, split: str, index: int) -> Sample:
        """See ``Corpus``."""
        if first_key(self.splits(), split) + index in self.keys:
            raise Excluded(REASON)
        return self.corpus.sample(split, index)

    def where(self, split: str, index: int) -> str:
        """See ``Corpus``."""
        return self.corpus.where(split, index)
