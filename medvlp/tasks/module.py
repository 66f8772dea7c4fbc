"""The module that a task trains: ARL with the heads of the task."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

if TYPE_CHECKING:
    from medvlp.model.arl import ARL  # drivers import this module, and the model takes seconds


@dataclass(frozen=True)
class TaskOutput:
    """The result of one forward pass."""

    loss: Tensor
    """The weighted total, a scalar."""
    losses: dict[str, Tensor]
    """Each part by name, unweighted and detached."""


class TaskModule(nn.Module):
    """ARL as ``arl``, and the heads of a task as further children. Calling it with a batch of its task returns a ``TaskOutput``.

    Every built head runs in every step in the same order, whatever the data: ZeRO-3 gathers parameters by that order.
    """

    arl: "ARL"
