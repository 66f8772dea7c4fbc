"""The picture of ``test_elastic.py``: one run by changing numbers of workers beside the unbroken one."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap

INK, PALE = "#3b4252", "#c8ced9"
RANKS = ("#4c72b0", "#dd8452", "#55a868", "#c9a227")


def who_did_what(ledger: Path, steps: int, micro_batches: int) -> np.ndarray:
    """Rank that consumed each micro-batch of each step, of shape (micro-batches of a step, steps)."""
    ranks = np.full((micro_batches, steps), -1)
    for path in sorted(ledger.iterdir()):
        rank = int(path.stem.rpartition("-")[2])
        for step, parts in json.loads(path.read_text()).items():
            for number in parts:
                ranks[int(number) % micro_batches, int(step) - 1] = rank
    return ranks


def draw(
    path: Path,
    unbroken: Mapping[int, float],
    elastic: Mapping[int, float],
    ranks: np.ndarray,
    parts: Sequence[tuple[int, int]],
    same: str,
) -> None:
    """Losses by step, their relative difference, and who did what; ``parts`` are (workers, last step); ``same`` is said of the samples."""
    plt.rcParams.update({"font.size": 9, "axes.edgecolor": PALE, "text.color": INK, "axes.labelcolor": INK})
    plt.rcParams.update({"xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False})
    figure, (top, middle, bottom) = plt.subplots(
        3, 1, figsize=(7.6, 5.4), sharex=True, height_ratios=(3, 1.1, 1.3), constrained_layout=True
    )
    steps = sorted(unbroken)
    top.plot(steps, [unbroken[step] for step in steps], color=PALE, linewidth=7, solid_capstyle="round", label="one worker, unbroken")
    top.plot(steps, [elastic[step] for step in steps], color=INK, linewidth=1.2, marker="o", markersize=3, label="4, 2, 4, 1 workers")
    top.set_ylabel("training loss")
    top.legend(frameon=False, loc="upper right")
    difference = [abs(elastic[step] / unbroken[step] - 1) for step in steps]
    middle.semilogy(steps, np.maximum(difference, 1e-9), color=INK, linewidth=0, marker="o", markersize=3)
    middle.axhline(1e-4, color=PALE, linewidth=1)
    middle.set_ylim(5e-10, 1e-3)
    middle.set_ylabel("relative\ndifference")
    bottom.imshow(
        ranks,
        aspect="auto",
        cmap=ListedColormap(RANKS),
        norm=BoundaryNorm(np.arange(-0.5, len(RANKS)), len(RANKS)),
        extent=(0.5, len(steps) + 0.5, len(ranks) + 0.5, 0.5),
    )
    bottom.set_yticks(range(1, len(ranks) + 1))
    bottom.set_xticks(np.arange(0.5, len(steps)), minor=True)
    bottom.set_yticks(np.arange(0.5, len(ranks)), minor=True)
    bottom.grid(which="minor", color="white", linewidth=1.5)
    for axes in (top, middle, bottom):
        axes.tick_params(axis="x", which="both", length=0)
    bottom.tick_params(axis="y", which="both", length=0)
    bottom.set_ylabel("micro-batch,\nby worker")
    bottom.set_xlabel(f"step   ({same})")
    start = 0.5
    for workers, end in parts:
        top.text((start + end + 0.5) / 2, 1.02, f"{workers} worker{'s' * (workers > 1)}", transform=top.get_xaxis_transform(), ha="center")
        for axes in (top, middle):
            axes.axvline(end + 0.5, color=PALE, linewidth=1, linestyle=(0, (2, 3)))
        start = end + 0.5
    top.set_xlim(0.5, len(steps) + 0.5)
    figure.align_ylabels()
    figure.savefig(path, dpi=160)
    plt.close(figure)
