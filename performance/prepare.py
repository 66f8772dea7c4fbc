"""Memory of preparing shards for ten times the images, and its speed against plain copying.

Generated images with captions, in the plain format; the job's own code with Ray, in a separate process for each size. Memory is the
unshared memory, summed over the driver and its Ray workers, at the peak of the run. The peer writes the same bytes into tar files with
webdataset in one process: no decoding, no hashes, no manifest, no resume.

    python performance/prepare.py --json results/prepare.json
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image
from webdataset import ShardWriter

from performance.measure import machine, run_benchmark

SIDE = 64
DISTINCT = 512
PREPARE = """
import sys
from pathlib import Path
from medvlp.corpora.jsonl import open_jsonl
from scaleout.cluster import connect
from scaleout.shards.prepare import prepare_shards
with connect(num_cpus=int(sys.argv[3]), object_store_bytes=200_000_000):
    print("ready", flush=True)
    sys.stdin.readline()
    prepare_shards(open_jsonl(Path(sys.argv[1])), sys.argv[2], vocabulary_size=0)
"""


def prepare_shards(sizes: list[int] | None = None, cpus: int = 2) -> dict[str, Any]:
    """Prepare corpora of several sizes.

    Args:
        sizes: Numbers of images; 10,000 and 100,000 by default.
        cpus: Logical CPUs for Ray.
    """
    figures = []
    for size in sizes or [10_000, 100_000]:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            write_corpus(root / "corpus", size)
            seconds, workers, driver = prepare(root / "corpus", root / "shards", cpus)
            peer = copy(root / "corpus", root / "peer")
        figures.append(
            {
                "images": size,
                "images_per_second": round(size / seconds, 1),
                "peer_images_per_second": round(size / peer, 1),
                "ratio": round(peer / seconds, 3),
                "peak_mebibytes": round((workers + driver) / 2**20),
                "peak_driver_mebibytes": round(driver / 2**20),
            }
        )
        print(json.dumps(figures[-1]), flush=True)
    growth = figures[-1]["peak_mebibytes"] / figures[0]["peak_mebibytes"]
    print(f"{figures[-1]['images'] / figures[0]['images']:.0f} times the images, {growth:.2f} times the memory")
    return {"machine": machine(), "corpora": figures, "memory_growth": growth}


def write_corpus(root: Path, size: int) -> None:
    """Write images, of which every 512th is the same, and captions."""
    generator = np.random.default_rng(0)
    encoded = []
    for number in range(DISTINCT):
        path = root / "images" / "distinct" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(generator.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)).save(path)
        encoded.append(path.read_bytes())
    with (root / "captions.jsonl").open("w") as captions:
        for number in range(size):
            image = f"images/{number // 1000}/{number}.jpg"
            if number % 1000 == 0:
                (root / image).parent.mkdir()
            (root / image).write_bytes(encoded[number % DISTINCT])
            row = {"image": image, "text": f"Image {number} shows a small nodule in the left upper lobe.", "patient_id": str(number // 3)}
            captions.write(json.dumps(row) + "\n")


def prepare(corpus: Path, output: Path, cpus: int) -> tuple[float, int, int]:
    """Return seconds, and the peak bytes of Ray's workers and of the driver."""
    command = [sys.executable, "-c", PREPARE, str(corpus), str(output), str(cpus)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        start = time.monotonic()
        process.stdin.write("\n")
        process.stdin.flush()
        workers = driver = 0
        while process.poll() is None:
            try:
                driver = max(driver, unshared(psutil.Process(process.pid)))
                children = psutil.Process(process.pid).children(recursive=True)
                workers = max(workers, sum(unshared(child) for child in children if "ray::" in " ".join(child.cmdline())))
            except psutil.Error:
                pass
            if (output / "manifest.json").exists():
                break
            time.sleep(0.2)
        seconds = time.monotonic() - start
        if process.wait() != 0 or not (output / "manifest.json").exists():
            raise SystemExit("preparing failed")
    return seconds, workers, driver


def unshared(process: psutil.Process) -> int:
    """Return the unshared memory of a process in bytes; 0 for one that has just ended."""
    try:
        memory = process.memory_info()
    except psutil.Error:
        return 0
    return int(memory.rss - memory.shared)


def copy(corpus: Path, output: Path) -> float:
    """Return the seconds of the peer."""
    output.mkdir()
    start = time.monotonic()
    with ShardWriter(str(output / "%05d.tar"), maxcount=1000, verbose=0) as writer, (corpus / "captions.jsonl").open() as captions:
        for number, line in enumerate(captions):
            row = json.loads(line)
            writer.write({"__key__": f"{number:09d}", "jpg": (corpus / row["image"]).read_bytes(), "txt": row["text"]})
    return time.monotonic() - start


if __name__ == "__main__":
    run_benchmark(prepare_shards)
