"""Functions for which DeepSpeed has no public interface."""

from itertools import chain
from typing import Any

from torch import Tensor, nn


def fp32_masters(optimiser: Any) -> dict[nn.Parameter, Tensor]:
    """Return the fp32 weight of every trained bf16 parameter in DeepSpeed's optimiser without ZeRO.

    ``safe_get_full_fp32_param`` of DeepSpeed 0.19 finds only those of ZeRO.
    """
    return dict(zip(chain(*optimiser.fp16_groups), chain(*optimiser.fp32_groups), strict=True))
