"""Write a corpus as WebDataset shards, with a manifest and a tokenizer beside them."""

from pathlib import Path

from medvlp.corpora.registry import open_corpus
from scaleout import storage
from scaleout.cli import run_job
from scaleout.shards.manifest import TOKENIZER_FOLDER, ShardManifest
from scaleout.shards.prepare import prepare_shards


def prepare(
    *,
    corpus: str,
    output: str,
    root: str | None = None,
    options: dict[str, bool | int | float | str] | None = None,
    samples_per_shard: int = 1000,
    vocabulary_size: int = 8192,
    overwrite: bool = False,
) -> None:
    """Write a corpus as WebDataset shards, with a manifest and a tokenizer beside them.

    Every image is decoded once; what does not decode, and what the corpus's own rules leave out, is counted by reason.
    After a kill, the same command makes only what is missing. The same input gives the same bytes.

    Args:
        corpus: Name of the corpus: phantom, jsonl …
        output: Where the shards go: a folder, or s3://bucket/folder.
        root: Folder with the corpus's official files; phantoms have none.
        options: Options of the corpus, such as --options.train 5000.
        samples_per_shard: Samples per tar file.
        vocabulary_size: Tokens of the byte-level BPE trained on the training texts; 0 for none.
        overwrite: Replace shards of another corpus or of other options.
    """
    output = storage.absolute(output)
    opened = open_corpus(corpus, Path(root).absolute() if root else None, **(options or {}))
    manifest = prepare_shards(
        opened,
        output,
        samples_per_shard=samples_per_shard,
        vocabulary_size=vocabulary_size,
        options=options,
        overwrite=overwrite,
    )
    print(dataset_card(manifest))
    print(f"shards: {output}")
    if vocabulary_size:
        print(f"tokenizer: {storage.join(output, TOKENIZER_FOLDER)}")


def dataset_card(manifest: ShardManifest) -> str:
    """What the shards hold, as a few lines: counts only, never a text or a name of a file."""
    lines = [f"corpus {manifest.corpus} ({manifest.fingerprint}), {len(manifest.shards)} shards"]
    for split, rows in manifest.splits.items():
        dropped = manifest.dropped[split]
        modalities = (f"{name or 'unknown'} {count}" for name, count in manifest.modalities[split].items())
        lines.append(f"  {split}: {rows} images, {manifest.texts[split]} texts, {sum(dropped.values())} dropped")
        lines.append(f"    modalities: {', '.join(modalities)}")
        lines += [f"    dropped {count}: {reason}" for reason, count in dropped.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    run_job(prepare)
