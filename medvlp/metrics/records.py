"""Validation records: arrays that are joined over batches and workers before they are summarised."""

from collections.abc import Mapping

import numpy as np
from torch import Tensor

Records = dict[str, np.ndarray]
"""Arrays with one row per sample, by name."""


def to_records(values: Mapping[str, Tensor | np.ndarray]) -> Records:
    """Convert ``values`` to arrays on the CPU; floating-point tensors become float32, whatever their precision."""
    return {name: value if isinstance(value, np.ndarray) else _to_numpy(value) for name, value in values.items()}


def _to_numpy(value: Tensor) -> np.ndarray:
    return (value.float() if value.is_floating_point() else value).cpu().numpy()
