"""Write a corpus as WebDataset shards, with a manifest, a dataset card and a tokenizer."""

from pathlib import Path
from typing import Annotated

from medvlp.corpora.registry import open_corpus
from medvlp.corpora.splits import TRAIN
from medvlp.data.text import MINIMUM_VOCABULARY
from medvlp.errors import ConfigurationError, DataError
from medvlp.values import Count, Range
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.io.places import LocalPlace, Place
from scaleout.shards.card import read_card
from scaleout.shards.leave_out import LeftOutItems
from scaleout.shards.manifest import TOKENIZER_FOLDER
from scaleout.shards.prepare import prepare_shards
from scaleout.shards.validate import validate_shards


def prepare(
    *,
    output: Place,
    corpus: str | None = None,
    root: LocalPlace | None = None,
    options: dict[str, bool | int | float | str] | None = None,
    samples_per_shard: Count = 1000,
    vocabulary_size: Annotated[int, Range(at_least=MINIMUM_VOCABULARY, also=0)] = 8192,
    leave_out: Place | None = None,
    overwrite: bool = False,
    validate: bool = False,
) -> None:
    """Write a corpus as WebDataset shards, with a manifest, a dataset card and a tokenizer.

    Every image is decoded once. Rows and images that cannot be used, and samples that the rules of the corpus exclude, are counted by
    reason; too many bad ones are an error. If the job was killed, run the same command again: it makes only what is missing. The same
    input gives the same bytes; changed input is an error.

    Args:
        output: Destination of the shards: a folder, or s3://bucket/folder.
        corpus: Name of the corpus: phantom, jsonl, csv, roco, medicat, mimic-cxr, slake …
        root: Folder with the official files of the corpus; not used for phantom.
        options: Options of the corpus, such as --options.train 5000.
        samples_per_shard: Samples per tar file.
        vocabulary_size: Vocabulary size of the byte-level BPE tokenizer trained on the training texts; 0 trains none.
        leave_out: File with what to leave out: a report of jobs/leaks.py about shards of this corpus, or hashed groups, one on a line.
        overwrite: Replace existing shards of another corpus or with other options.
        validate: Write nothing; read the existing shards and report every difference from the manifest.
    """
    output = storage.absolute(output)
    if validate:
        report_problems(output)
        return
    if corpus is None:
        raise ConfigurationError("no corpus given; add --corpus NAME, or --validate to check existing shards")
    opened = open_corpus(corpus, Path(storage.absolute(root)) if root else None, **(options or {}))
    manifest = prepare_shards(
        opened,
        output,
        samples_per_shard=samples_per_shard,
        vocabulary_size=vocabulary_size,
        options=options,
        leave_out=LeftOutItems.read(storage.absolute(leave_out), opened) if leave_out else None,
        overwrite=overwrite,
    )
    print(read_card(output))
    print(f"shards: {output}")
    if vocabulary_size and manifest.splits.get(TRAIN):
        print(f"tokenizer: {storage.join(output, TOKENIZER_FOLDER)}")
    elif vocabulary_size:
        print(f"tokenizer: none, because the corpus has no split {TRAIN!r}; its splits are {', '.join(manifest.splits)}")


def report_problems(output: str) -> None:
    """Check the shards and report the result."""
    manifest, problems = validate_shards(output)
    if problems:
        raise DataError(f"{len(problems)} problems in {output}: {'; '.join(problems)}")
    print(f"{len(manifest.shards)} shards with {sum(manifest.splits.values())} samples match their manifest: {output}")


if __name__ == "__main__":
    run_job(prepare)
