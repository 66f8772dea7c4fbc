"""Speed of reading UMLS files, with memory that does not grow with their size.

Writes a UMLS release with ``--rows`` rows of names, and one with a tenth of them; both contain the same 25,000 concepts that the filter
keeps, spread over the file among suppressed names and names in other languages or from other sources, as in a real release. Each is read in
a separate process. The peer is the smaller file: ten times the rows should take ten times as long and no more memory.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medvlp.knowledge.readers.rrf import NAMES_FILE, RELATIONS_FILE, TYPES_FILE, UMLSFilter, read_rrf
from performance.measure import fresh_process, machine, run_benchmark
from scaleout.engine.device import peak_resident

KEPT = 25_000
"""Number of concepts that the filter keeps, with two names each."""


def write_release(folder: Path, rows: int) -> None:
    """Write a release with ``rows`` names and as many relations; four rows per concept, half as many rows of types."""
    folder.mkdir()
    concepts = rows // 4
    with (
        (folder / NAMES_FILE).open("w") as names,
        (folder / RELATIONS_FILE).open("w") as relations,
        (folder / TYPES_FILE).open("w") as types,
    ):
        for number in range(concepts):
            kept = number % (concepts // KEPT) == 0
            names.writelines(_names(number, "SNOMEDCT_US" if kept else "MSH"))
            relations.writelines(_relations(number, concepts))
            types.write(f"C{number:07d}|T047|B2.2.1.2.1|Disease or Syndrome|AT{number:08d}|256|\n" * 2)


def _names(number: int, source: str) -> Iterator[str]:
    for index, (language, suppress) in enumerate((("ENG", "N"), ("ENG", "N"), ("SPA", "N"), ("ENG", "O"))):
        rank = f"P|L{number:07d}|PF|S{number:07d}|Y" if index == 0 else f"S|L{number:07d}|VO|S{number:07d}|N"
        text = f"{('disease', 'disorder', 'enfermedad', 'illness')[index]} of the part number {number} of the body"
        yield f"C{number:07d}|{language}|{rank}|A{number:07d}{index}||M{number}|D{number}|{source}|PT|{number}|{text}|0|{suppress}|256|\n"


def _relations(number: int, concepts: int) -> Iterator[str]:
    step = concepts // KEPT
    for index, rel in enumerate(("CHD", "PAR", "SIB", "RO")):
        other = (number + step * (index + 1)) % concepts
        attribute = {"CHD": "isa", "PAR": "inverse_isa", "RO": "associated_with"}.get(rel, "")
        ends = f"C{other:07d}|A{other:08d}|AUI|{rel}|C{number:07d}|A{number:08d}|AUI"
        yield f"{ends}|{attribute}|R{number}{index}||SNOMEDCT_US|SNOMEDCT_US||Y|N||\n"


def read(folder: Path) -> dict[str, float]:
    """Read a release; what it took."""
    rows = sum(_rows(folder / file) for file in (NAMES_FILE, RELATIONS_FILE, TYPES_FILE))
    before = peak_resident()
    begin, processor = time.perf_counter(), time.process_time()
    ontology = read_rrf(folder, UMLSFilter(sources=["SNOMEDCT_US"]))
    seconds, processor_seconds = time.perf_counter() - begin, time.process_time() - processor
    return {
        "rows": rows,
        "megabytes": round(sum(file.stat().st_size for file in folder.iterdir()) / 1e6),
        "concepts": len(ontology.concepts),
        "triples": len(ontology.triples),
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "rows_per_processor_second": round(rows / processor_seconds),
        "peak_megabytes_above_start": round((peak_resident() - before) / 2**20),
    }


def _rows(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))


def measure(rows: int) -> dict[str, float]:
    """The figures of a release with ``rows`` names."""
    with tempfile.TemporaryDirectory() as folder, fresh_process() as process:
        release = Path(folder, "META")
        write_release(release, rows)
        return process.submit(read, release).result()


def rrf(*, rows: int = 5_000_000) -> dict[str, Any]:
    """Read a UMLS release with many names, and one with a tenth of them.

    Args:
        rows: Number of rows of names in the larger release.
    """
    small, large = (measure(count) for count in (rows // 10, rows))
    for name, figures in (("a tenth", small), ("whole", large)):
        print(f"{name:8}" + ", ".join(f"{key} {value}" for key, value in figures.items()))
    ratios = {key: round(large[key] / small[key], 2) for key in ("rows", "seconds", "peak_megabytes_above_start")}
    print("whole to a tenth: " + ", ".join(f"{key} {value}" for key, value in ratios.items()))
    return {"machine": machine(), "a tenth": small, "whole": large, "ratios": ratios}


if __name__ == "__main__":
    run_benchmark(rrf)
