"""Device usage of a worker: arithmetic, as a fraction of the device's peak (MFU), and memory."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

_PEAKS = (
    # Full name as returned by torch.cuda.get_device_name; dense bfloat16 TFLOP/s with float32 accumulation; its source.
    # Figures that data sheets give only "with sparsity" are halved.
    (r"NVIDIA B200", 2250),  # NVIDIA HGX B200 data sheet
    (r"NVIDIA H200 NVL", 835.5),  # nvidia.com/en-us/data-center/h200
    (r"NVIDIA (H200|GH200).*", 989.5),  # nvidia.com/en-us/data-center/h200, grace-hopper-superchip
    (r"NVIDIA H100 NVL", 835.5),  # nvidia.com/en-us/data-center/h100
    (r"NVIDIA H100 PCIe", 756),  # NVIDIA H100 PCIe data sheet
    (r"NVIDIA H100( \d+GB HBM\d)?", 989.5),  # nvidia.com/en-us/data-center/h100, SXM
    (r"(NVIDIA )?A100[- ].*", 312),  # nvidia.com/en-us/data-center/a100, SXM and PCIe alike
    (r"NVIDIA A40", 149.7),  # NVIDIA A40 data sheet
    (r"NVIDIA A30", 165),  # NVIDIA A30 data sheet
    (r"NVIDIA A10G", 70),  # NVIDIA A10G data sheet, as Amazon publishes it for G5
    (r"NVIDIA A10", 125),  # NVIDIA A10 data sheet
    (r"NVIDIA L40S", 362),  # nvidia.com/en-us/data-center/l40s
    (r"NVIDIA L4", 121),  # nvidia.com/en-us/data-center/l4
    (r"NVIDIA RTX A6000", 154.8),  # NVIDIA GA102 white paper
    (r"NVIDIA GeForce RTX 4090", 165.2),  # NVIDIA Ada white paper, appendix A
    (r"NVIDIA GeForce RTX 3090", 71),  # NVIDIA GA102 white paper, appendix A
    # Without bfloat16 units: what float16 could reach.
    (r"Tesla V100-SXM.*", 125),  # NVIDIA V100 data sheet, float16
    (r"Tesla V100-PCIE.*", 112),  # NVIDIA V100 data sheet, float16
    (r"Tesla T4", 65),  # NVIDIA T4 data sheet, float16
)
_GIGABYTE = 1e9


@dataclass(frozen=True)
class Usage:
    """The device usage of one worker."""

    flops_per_second: float
    """Floating-point operations per second that the model needs, by formula."""
    peak_flops_per_second: float | None
    peak_memory: int
    """Bytes."""

    @classmethod
    def of(cls, device: torch.device, flops_per_second: float) -> "Usage":
        """Return the usage of ``device`` until now."""
        peak = peak_flops(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
        return cls(flops_per_second, peak, peak_memory(device))


def usage_metrics(workers: Sequence[Usage]) -> dict[str, float]:
    """Return ``perf/peak_memory_gb`` of the worker with the most, and ``perf/mfu``, omitted unless the peak of every device is known."""
    metrics = {"perf/peak_memory_gb": max(usage.peak_memory for usage in workers) / _GIGABYTE}
    peaks = [usage.peak_flops_per_second for usage in workers if usage.peak_flops_per_second is not None]
    if len(peaks) == len(workers):
        metrics["perf/mfu"] = sum(usage.flops_per_second for usage in workers) / sum(peaks)
    return metrics


def peak_flops(name: str) -> float | None:
    """Return the peak dense bfloat16 operations per second of the GPU ``name``; None if it is unknown, or part of a GPU (MIG)."""
    if "MIG" in name.split():
        return None
    return next((peak * 1e12 for pattern, peak in _PEAKS if re.fullmatch(pattern, name)), None)


def peak_memory(device: torch.device) -> int:
    """Return bytes: the peak tensor memory on a GPU, or the largest resident set of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident()


def peak_resident(process: int | Literal["self"] = "self") -> int:
    """Bytes of the largest resident set of a process. Not getrusage, whose maximum starts at that of the process which started it."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
