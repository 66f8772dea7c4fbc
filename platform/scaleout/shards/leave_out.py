"""A corpus without the samples that leak into a benchmark."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from medvlp.corpora.corpus import Corpus
from medvlp.data.sample import Dropped, Sample
from medvlp.errors import DataError
from scaleout.shards.manifest import first_key

REASON = "image is in a benchmark"


@dataclass(frozen=True)
class LeakFree:
    """A corpus less some of its items, which are dropped by reason."""

    corpus: Corpus
    keys: frozenset[int]
    """Keys that the items have in shards of the corpus."""

    @classmethod
    def of(cls, corpus: Corpus, report: Path) -> "LeakFree":
        """Leave out what a report of ``jobs/leaks.py`` names.

        Raises:
            DataError: it is no such report, or of shards that were made from something else.
        """
        try:
            record = json.loads(report.read_bytes())
            source = record["source"]
            keys = frozenset(int(key) for part in record["leaks"].values() for key in part["keys"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{report} is no report of jobs/leaks.py ({error})") from error
        if source != corpus.fingerprint:
            raise DataError(
                f"{report} is about shards made from files with fingerprint {source}, "
                f"those of corpus {corpus.name!r} have {corpus.fingerprint}"
            )
        return cls(corpus, keys)

    @property
    def name(self) -> str:
        """That of the corpus."""
        return self.corpus.name

    @property
    def public(self) -> bool:
        """That of the corpus."""
        return self.corpus.public

    @property
    def left_out(self) -> Mapping[str, int]:
        """That of the corpus."""
        return self.corpus.left_out

    @property
    def fingerprint(self) -> str:
        """Of the corpus and of what is left out."""
        return hashlib.sha256(json.dumps([self.corpus.fingerprint, sorted(self.keys)]).encode()).hexdigest()[:16]

    def splits(self) -> dict[str, int]:
        """Those of the corpus: what is left out is dropped, so that every other sample keeps its key."""
        return self.corpus.splits()

    def sample(self, split: str, index: int) -> Sample:
        """See ``Corpus``."""
        if first_key(self.splits(), split) + index in self.keys:
            raise Dropped(REASON)
        return self.corpus.sample(split, index)
