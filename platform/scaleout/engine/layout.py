"""The layout of an engine's training state: the settings that reader and writer must share."""

from dataclasses import dataclass, fields
from typing import Literal

from medvlp.errors import CheckpointError

Precision = Literal["fp32", "bf16"]
"""Precision of parameters and arithmetic. With bf16 the optimiser keeps fp32 copies of the weights, and saves these."""


@dataclass(frozen=True)
class Layout:
    """ZeRO stage and precision, both from ``ScaleConfig``."""

    zero_stage: int
    precision: Precision = "fp32"

    def __str__(self) -> str:
        return f"ZeRO stage {self.zero_stage} in {self.precision}"

    def check_readable_by(self, other: "Layout", folder: str) -> None:
        """Check that a run with layout ``other`` can continue from the state in ``folder``.

        Raises:
            CheckpointError: the layouts differ; the message says which options to set.
        """
        names = [field.name for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]
        if names:
            options = " ".join(f"--scale.{name} {getattr(self, name)}" for name in names)
            raise CheckpointError(f"{folder} was written with {self}, which {other} cannot read: continue with {options}")
