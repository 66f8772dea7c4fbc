"""The common part of the benchmarks: command line, alternating timings, machine, and figures as JSON."""

import inspect
import json
import os
import platform
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import docstring_parser
import torch
from jsonargparse import ArgumentParser


@dataclass(frozen=True)
class Timing:
    """Medians over the repeats, in seconds."""

    seconds: float
    """Time by the clock that other jobs disturb least: process CPU time over all threads on a CPU, wall-clock time on a GPU."""
    wall_seconds: float


def run_benchmark(function: Callable[..., dict[str, Any]]) -> None:
    """Call ``function`` with its parameters from the command line; ``--json FILE`` writes the returned figures."""
    parser = ArgumentParser(description=docstring_parser.parse(inspect.getdoc(function) or "").description, default_meta=False)
    parser.add_function_arguments(function)
    parser.add_argument("--json", metavar="FILE", type=Path | None, help="Write the figures to this file.")
    options = vars(parser.instantiate(parser.parse_args()))
    file = options.pop("json")
    figures = function(**options)
    if file is not None:
        file.write_text(json.dumps(figures, indent=2) + "\n")


def time_in_turn(subjects: Mapping[str, Callable[[], object]], repeats: int, device: torch.device) -> dict[str, Timing]:
    """Run every subject once to warm up, then ``repeats`` times in turn, every other time in reverse order."""
    for subject in subjects.values():
        subject()
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    for repeat in range(repeats):
        for name in list(subjects)[:: 1 if repeat % 2 == 0 else -1]:
            _synchronise(device)
            started, wall = clock(), time.perf_counter()
            subjects[name]()
            _synchronise(device)
            seconds[name].append((clock() - started, time.perf_counter() - wall))
    return {name: Timing(*(median(column) for column in zip(*rows, strict=True))) for name, rows in seconds.items()}


def fresh_process(**options: Any) -> ProcessPoolExecutor:
    """One process that shares neither memory nor caches with this one, with ``options`` of the executor."""
    return ProcessPoolExecutor(1, get_context("spawn"), **options)


def peak_memory_of(subject: Callable[[], object], device: torch.device) -> int | None:
    """Return the peak GPU bytes of ``subject``, beyond those in use before; None on a CPU, whose allocator keeps freed memory."""
    if device.type != "cuda":
        return None
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    subject()
    return torch.cuda.max_memory_allocated(device) - before


def machine() -> dict[str, Any]:
    """Return a description of the machine."""
    return {
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    """Return the CPU model as Linux names it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
