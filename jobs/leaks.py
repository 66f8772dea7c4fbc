"""Find the images of a benchmark's test set in shards that a model is trained on."""

import json

from medvlp.errors import DataError
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.io.places import Place
from scaleout.shards.duplicates import find_overlap, read_tables
from scaleout.shards.images import read_images
from scaleout.shards.manifest import ShardManifest


def leaks(*, shards: Place, benchmark: Place, split: str = "test", output: Place | None = None, fail: bool = False) -> None:
    """Find the images of a benchmark's test set in shards that a model is trained on.

    Two images count as the same if they have the same public name (such as a MedPix synpic number) or the same perceptual hash: real leaks
    are often re-encoded, so their bytes differ. Neighbouring slices of one scan may look the same, so matches by name and by picture are
    counted separately.

    Args:
        shards: Training shards: a folder, or s3://bucket/folder.
        benchmark: Shards of the benchmark.
        split: Split of the benchmark to look for.
        output: JSON file, also s3://bucket/file, for the leaking samples by split: their keys, and the names of both images, so that a
            person can check; jobs/prepare.py --leave_out makes shards without them.
        fail: End with an error if anything leaks.
    """
    trained, tested = storage.absolute(shards), storage.absolute(benchmark)
    manifest, other = ShardManifest.load(trained), ShardManifest.load(tested)
    if output is not None:
        output = storage.absolute(output)
        storage.check_file_writable(output)
    questions = read_images(tested, other, split)
    is_same = manifest.fingerprint == other.fingerprint
    found = {}
    for name, table in read_tables(trained, manifest).items():
        if is_same and name == split:
            continue  # every image is in its own split
        overlap = find_overlap(table, questions, same_corpus=is_same)
        counts = overlap.summary()
        keys = [key for row in overlap.rows for key in table.samples[row]]
        found[name] = {**counts, "keys": keys, "matches": overlap.pairs(table, questions)}
        print(
            f"{manifest.corpus} {name}: {counts['shared']} of {len(table)} images are among the {len(questions)} of {other.corpus} {split} "
            f"({counts['by_name']} by name, {counts['by_picture']} by picture, {counts['by_both']} by both)"
        )
    if output is not None:
        record = {"shards": manifest.fingerprint, "source": manifest.source, "benchmark": other.fingerprint, "split": split, "leaks": found}
        storage.write_bytes(output, json.dumps(record, indent=1).encode())
        print(f"keys: {output}")
    if fail and any(part["shared"] for part in found.values()):
        raise DataError(f"images of {tested}, split {split}, are in {trained}: leave them out, or claim no generalisation")


if __name__ == "__main__":
    run_job(leaks)
