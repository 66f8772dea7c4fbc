"""What a process imports it waits for: each of these takes a second or more, and every start of a run has several processes."""

import subprocess
import sys

import pytest

NEVER_IN_A_DRIVER = {"deepspeed", "matplotlib", "mlflow", "s3fs", "setuptools", "sklearn", "torch_geometric", "transformers.modeling_utils"}


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("scaleout.launch.launch, scaleout.runs.config", NEVER_IN_A_DRIVER),
        ("scaleout.workers.feed", NEVER_IN_A_DRIVER | {"transformers", "ray.train"}),
        ("scaleout.workers.channel", {"torch", "ray.data", "pandas"}),
    ],
    ids=["driver", "segment server", "channel"],
)
def test_a_start_imports_only_what_it_needs(modules: str, unwanted: set[str]) -> None:
    code = f"import sys, {modules}; print(*sys.modules)"
    imported = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())
    assert imported & unwanted == set()
