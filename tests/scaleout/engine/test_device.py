"""Peaks of devices and what is told of their use."""

import subprocess
import sys

import pytest
import torch

from scaleout.engine.device import Usage, peak_flops, usage_metrics

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "tera"),
    [
        ("NVIDIA H200", 989.5),
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756),
        ("NVIDIA H100 NVL", 835.5),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA A100 80GB PCIe", 312),
        ("A100-SXM4-40GB", 312),
        ("NVIDIA A10G", 70),
        ("NVIDIA A10", 125),
        ("NVIDIA L4", 121),
        ("NVIDIA L40S", 362),
        ("Tesla V100-SXM2-32GB", 125),
        ("Tesla V100-PCIE-16GB", 112),
        ("NVIDIA GeForce RTX 4090", 165.2),
        ("NVIDIA GeForce RTX 3090", 71),
    ],
)
def test_devices_have_the_peak_of_their_data_sheet(name: str, tera: float) -> None:
    assert peak_flops(name) == pytest.approx(tera * 1e12)


@pytest.mark.parametrize(
    "name",
    [
        "NVIDIA GeForce RTX 4090 Laptop GPU",
        "NVIDIA GeForce RTX 4090 D",
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA A1000",
        "Tesla K80",
        "",
    ],
)
def test_other_devices_have_none(name: str) -> None:
    assert peak_flops(name) is None


def test_mfu_is_what_all_workers_need_of_what_all_devices_could() -> None:
    metrics = usage_metrics([Usage(30e12, 100e12, 2_000_000_000), Usage(50e12, 300e12, 5_000_000_000)])
    assert metrics == {"perf/mfu": pytest.approx(0.2), "perf/peak_memory_gb": 5.0}


def test_there_is_no_mfu_beside_a_device_of_unknown_peak() -> None:
    assert usage_metrics([Usage(1e12, 100e12, 1), Usage(1e12, None, 1)]).keys() == {"perf/peak_memory_gb"}
    assert Usage.of(CPU, 1e12).peak_flops_per_second is None


def test_memory_of_a_process_is_its_largest() -> None:
    # A process of its own: this one may have had its peak before.
    script = (
        "import torch; from scaleout.engine.device import peak_memory; cpu = torch.device('cpu'); before = peak_memory(cpu); "
        "held = torch.ones(100_000_000); del held; print(peak_memory(cpu) - before)"
    )
    grown = int(subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout)
    assert 300_000_000 < grown < 800_000_000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU on this machine")
def test_memory_of_a_gpu_is_that_of_its_tensors() -> None:
    device = torch.device("cuda", 0)
    torch.cuda.reset_peak_memory_stats(device)
    held = torch.ones(100_000_000, device=device)
    del held
    assert Usage.of(device, 0.0).peak_memory >= 400_000_000
