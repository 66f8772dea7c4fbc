"""Samples per second of the stream, from shards to collated batches, against plain ``webdataset`` with torch's DataLoader.

Both read the same shards and links and do the same work with the same functions: read, join, choose a caption, decode (JPEG
``draft``), crop, resize, tokenise, mask, collate. In addition the stream checks hashes, and its order is a function of the seed.
The runs alternate, each in a separate process on the same cores; the steady-state clock starts some batches after the first.
"""

import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from medvlp.data.image import decode_image
from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.text import encode_texts
from performance.ingest_runs import run_peer, run_stream, share_cores
from performance.ingest_source import Source, prepare
from performance.measure import fresh_process, machine, run_benchmark
from scaleout.links.reader import read_links_checked
from scaleout.shards.reader import read_shard_checked
from scaleout.stream.rows import stream_rows

Run = Callable[[Source, int, int], dict[str, float]]
"""Times one run of so many samples after a warm-up."""


def ingest(
    *,
    samples: int = 6000,
    warm_up: int = 2000,
    repeats: int = 3,
    size: int = 288,
    image_size: int = 224,
    micro_batch: int = 16,
    cores: int = 2,
    folder: Path | None = None,
) -> dict[str, Any]:
    """Time the stream, from shards to collated batches, against plain webdataset with torch's DataLoader.

    Args:
        samples: Samples per timed run, after the warm-up.
        warm_up: Samples before the clock starts.
        repeats: Runs of each side; medians are reported.
        size: Side of the JPEG images, in pixels.
        image_size: Side of the images in a batch.
        micro_batch: Samples per batch.
        cores: Cores that each run may use.
        folder: Folder that keeps shards and links for the next time; by default a temporary folder.
    """
    with tempfile.TemporaryDirectory() as temporary:
        source = prepare(Path(folder or temporary), size=size, image_size=image_size, micro_batch=micro_batch, cores=cores)
        runs = compare(source, samples=samples, warm_up=warm_up, repeats=repeats)
        stages = time_stages(source)
    best = max((name for name in runs if name != "stream"), key=lambda name: runs[name]["samples_per_second"])
    figures = {
        "benchmark": "ingest",
        "samples": samples,
        "warm_up": warm_up,
        "repeats": repeats,
        "size": size,
        "image_size": image_size,
        "micro_batch": micro_batch,
        "ratio": runs["stream"]["samples_per_second"] / runs[best]["samples_per_second"],
        "cpu_ratio": runs[best]["cpu_seconds"] / runs["stream"]["cpu_seconds"],
        "best_peer": best,
        "runs": runs,
        "stages": stages,
        "cores": cores,
        "load": os.getloadavg()[0],
        "machine": machine(),
    }
    report(figures)
    return figures


def report(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    print(
        f"JPEGs of {figures['size']} px to {figures['image_size']} px, batches of {figures['micro_batch']}, {figures['cores']} cores, ",
        end="",
    )
    print(f"medians of {figures['repeats']}; load {figures['load']:.1f}")
    print(f"{'':24}{'samples/s':>10}{'CPU ms/sample':>16}{'first batch':>14}")
    for name, run in figures["runs"].items():
        rate, cpu, start = run["samples_per_second"], 1000 * run["cpu_seconds"], run["start_seconds"]
        print(f"{name.replace('_', ' '):24}{rate:10.0f}{cpu:16.2f}{start:12.1f} s")
    print(f"{'ratio to ' + figures['best_peer'].replace('_', ' '):24}{figures['ratio']:10.2f}, by CPU time {figures['cpu_ratio']:.2f}")
    print("one thread alone, CPU ms/sample: " + ", ".join(f"{name} {1000 * seconds:.3f}" for name, seconds in figures["stages"].items()))


def compare(source: Source, *, samples: int, warm_up: int, repeats: int) -> dict[str, dict[str, float]]:
    """Return the medians of all runs, by name."""
    subjects: dict[str, Run] = {"stream": run_stream}
    subjects |= {f"webdataset_{workers}_workers": partial(run_peer, workers=workers) for workers in (0, 1, 2)}
    runs: dict[str, list[dict[str, float]]] = defaultdict(list)
    for repeat in range(repeats):
        for name in list(subjects)[:: 1 if repeat % 2 == 0 else -1]:
            with fresh_process(initializer=share_cores, initargs=(source.cores,)) as process:
                runs[name].append(process.submit(subjects[name], source, samples, warm_up).result())
    return {name: {key: median(run[key] for run in runs[name]) for key in runs[name][0]} for name in subjects}


def time_stages(source: Source) -> dict[str, float]:
    """Time every stage of the stream, in seconds per sample, each alone in one thread of this process."""
    split, collate = source.split(), source.collate()
    reader, window = split.reader, next(split.plan.slices(0, split.plan.rows))
    shards, links = [planned.shard for planned in window.shards], [planned.links for planned in window.shards]
    read = _seconds(lambda: [read_shard_checked(source.shards, shard) for shard in shards])
    read_links = _seconds(lambda: [read_links_checked(source.links, record) for record in links])
    joined = _seconds(lambda: reader.read(window))
    table = reader.read(window)
    tables = [table.slice(first, source.micro_batch) for first in range(0, table.num_rows - source.micro_batch + 1, source.micro_batch)]
    micro_batches = [stream_rows(table) for table in tables]
    rows = [row for batch in micro_batches for row in batch]
    decoded = _seconds(lambda: [decode_image(row.image, collate.image, keyed_generator(0, Purpose.AUGMENTATION, row.key)) for row in rows])
    tokenised = _seconds(lambda: [encode_texts(collate.tokenizer, batch, collate.text.maximum_tokens) for batch in micro_batches])
    collated = _seconds(lambda: [collate(batch) for batch in micro_batches])
    return {
        "read": read / sum(shard.rows for shard in shards),
        "links": read_links / sum(shard.rows for shard in shards),
        "join": (joined - read - read_links) / window.rows,
        "rows": _seconds(lambda: [stream_rows(table) for table in tables]) / len(rows),
        "decode": decoded / len(rows),
        "tokenise": tokenised / len(rows),
        "mask and collate": (collated - decoded - tokenised) / len(rows),
    }


def _seconds(function: Callable[[], object]) -> float:
    """Return the CPU time of the second call: the first one warms up."""
    function()
    started = time.process_time()
    function()
    return time.process_time() - started


if __name__ == "__main__":
    run_benchmark(ingest)
