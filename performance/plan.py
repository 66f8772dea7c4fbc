"""Time to the first batch, and memory, of the stream over very many shards: fresh, and resumed in the middle of an epoch.

Everything between a run's configuration and its first batch is production code: manifests, preflight, the plan, segments in Ray, reading
with hashes, joining, decoding, tokenising, masking. Ray itself is started before the clock. A second, smaller manifest shows what grows
with size.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

from performance.measure import fresh_process, machine, run_benchmark
from performance.plan_runs import SEEN, run
from performance.plan_source import write_source

EPOCHS = 3.5
"""Position at which the resumed stream continues."""


def plan(*, shards: int = 1_000_000, samples_per_shard: int = 10_000, micro_batch: int = 16, smaller: int = 100) -> dict[str, Any]:
    """Time the first batch of the production stream over very many shards.

    Args:
        shards: Number of entries of the manifest.
        samples_per_shard: Samples of every entry; a few files are read under many names.
        micro_batch: Samples per batch.
        smaller: Factor by which the manifest to compare with has fewer shards.
    """
    sizes = {count: measure(count, samples_per_shard, micro_batch) for count in dict.fromkeys((max(shards // smaller, 2), shards))}
    figures = {
        "benchmark": "plan",
        "shards": shards,
        "samples": shards * samples_per_shard,
        "load": os.getloadavg()[0],
        "machine": machine(),
    }
    figures |= {name: sizes[shards][name] for name in ("fresh_seconds", "resumed_seconds", "peak_bytes")}
    figures["sizes"] = sizes
    report(figures)
    return figures


def report(figures: dict[str, Any]) -> None:
    """Print the figures as a table."""
    print(f"{'shards':>10}{'manifests':>11}{'fresh':>9}{'resumed':>9}{'peak':>9}   peak of each process, MB")
    for count, found in figures["sizes"].items():
        memory = ", ".join(f"{name.removeprefix('ray::')} {size / 1e6:.0f}" for name, size in found["processes"].items())
        times = f"{found['fresh_seconds']:7.1f} s{found['resumed_seconds']:7.1f} s"
        print(f"{count:>10,}{found['manifest_bytes'] / 1e6:8.0f} MB{times}{found['peak_bytes'] / 1e6:6.0f} MB   {memory}")


def measure(shards: int, samples_per_shard: int, micro_batch: int) -> dict[str, Any]:
    """Measure one manifest: the first batch of a fresh and of a resumed stream, each in a separate process and Ray instance."""
    with tempfile.TemporaryDirectory() as temporary:
        config = write_source(Path(temporary), shards=shards, samples_per_shard=samples_per_shard, micro_batch=micro_batch)
        resumed = int(EPOCHS * shards * samples_per_shard) // micro_batch * micro_batch
        runs = {}
        for name, start in (("fresh", 0), ("resumed", resumed)):
            with fresh_process() as process:
                runs[name] = process.submit(run, config, start).result()
        size = sum(path.stat().st_size for path in Path(temporary).glob("*/index.parquet"))
    processes = {name: max(found["processes"].get(name, 0) for found in runs.values()) for name in SEEN}
    times = {f"{name}_seconds": found["seconds"] for name, found in runs.items()}
    return {**times, "peak_bytes": max(processes.values()), "processes": processes, "manifest_bytes": size}


if __name__ == "__main__":
    run_benchmark(plan)
