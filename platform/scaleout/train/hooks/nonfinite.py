"""Find the micro-batches that caused a non-finite gradient."""

import math
from dataclasses import dataclass

from torch import Tensor

from scaleout.engine.process_group import ProcessGroup
from scaleout.stream.batches import MicroBatch


@dataclass(frozen=True)
class Forward:
    """One micro-batch of a step with its losses, detached, on the device."""

    micro: MicroBatch
    loss: Tensor
    losses: dict[str, Tensor]


def name_causes(forwards: list[Forward], processes: ProcessGroup) -> str:
    """Name the micro-batches of a step, over all workers, with a non-finite loss; all of them if only the gradient is non-finite."""
    mine = [(forward.micro.number, forward.micro.batch.keys, math.isfinite(float(forward.loss))) for forward in forwards]
    step = sorted(entry for part in processes.gather(mine) for entry in part)
    blamed = [entry for entry in step if not entry[2]] or step
    return "; ".join(f"micro-batch {number} (samples {', '.join(keys)})" for number, keys, _ in blamed)
