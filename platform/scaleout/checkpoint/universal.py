"""Convert a ZeRO checkpoint for another number of workers: DeepSpeed's universal layout, one file per parameter and state.

DeepSpeed's own converter runs once on every machine, in a temporary folder: the checkpoint itself is only read.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from medvlp.errors import CheckpointError
from scaleout.engine.base import TAG
from scaleout.engine.process_group import ProcessGroup


@contextmanager
def universal_engine_folder(saved: Path, processes: ProcessGroup) -> Iterator[Path]:
    """Yield ``saved``, written by ``Engine.save`` of other workers, in the layout that an engine with ``resharded`` loads.

    Called by all workers together; the first worker of every machine converts, the others wait.

    Raises:
        CheckpointError: a conversion failed; on every worker.
    """
    maker = processes.gather(processes.node).index(processes.node)
    with ExitStack() as stack:
        target, failure = "", ""
        if processes.rank == maker:
            target = stack.enter_context(tempfile.TemporaryDirectory(prefix="medvlp-universal-"))
            failure = _convert(saved / TAG, Path(target, TAG))
        made = processes.gather((target, failure))
        if failures := [failure for _, failure in made if failure]:
            raise CheckpointError(f"the training state in {saved} could not be converted for another number of workers: {failures[0]}")
        yield Path(made[maker][0])
        processes.barrier()  # before the folder goes


def _convert(source: Path, target: Path) -> str:
    """Run the converter in a separate process, since it forks and prints; return its error, or ""."""
    # The state that ZeRO 1 and 2 do not write belongs to tensor parallelism, which is not used.
    options = ["--input_folder", str(source), "--output_folder", str(target), "--inject_missing_state"]
    done = subprocess.run([sys.executable, "-m", "deepspeed.checkpoint.ds_to_universal", *options], capture_output=True, text=True)
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1] if done.returncode else ""
