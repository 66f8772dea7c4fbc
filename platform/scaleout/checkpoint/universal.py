"""Convert a ZeRO checkpoint for another number of workers: DeepSpeed's universal layout, one file per parameter and state.

DeepSpeed's own converter runs once on every machine, in a temporary folder: the checkpoint itself is only read.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from medvlp.errors import CheckpointError
from scaleout.engine.base import TAG
from scaleout.engine.process_group import ProcessGroup


def universal_engine_folder(saved: Path, processes: ProcessGroup) -> AbstractContextManager[Path]:
    """What ``Engine.save`` of other workers wrote into ``saved``, as an engine with ``resharded`` loads it.

    Called by all workers together; the first worker of every machine converts, the others wait.

    Raises:
        CheckpointError: a conversion failed; on every worker.
    """
    return processes.folder_for_node(lambda: _converted(saved))


@contextmanager
def _converted(saved: Path) -> Iterator[Path]:
    """The converter forks and prints: it gets a process of its own."""
    with tempfile.TemporaryDirectory(prefix="medvlp-universal-") as target:
        # The state that ZeRO 1 and 2 do not write is that of tensor parallelism, of which there is none.
        options = ["--input_folder", str(saved / TAG), "--output_folder", str(Path(target, TAG)), "--inject_missing_state"]
        done = subprocess.run([sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", *options], capture_output=True, text=True)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise CheckpointError(f"the training state in {saved} could not be converted for another number of workers: {reason}")
        yield Path(target)
