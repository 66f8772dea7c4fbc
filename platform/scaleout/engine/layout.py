"""How an engine lays out its training state: what one that reads it must have in common with the one that wrote it."""

from dataclasses import dataclass, fields
from typing import Literal

from medvlp.errors import CheckpointError

Precision = Literal["fp32", "bf16"]
"""Of parameters and arithmetic. With bf16 the optimiser keeps fp32 copies of the weights, which are what is saved."""


@dataclass(frozen=True)
class Layout:
    """Both are settings of ``ScaleConfig``."""

    zero_stage: int
    precision: Precision = "fp32"

    def __str__(self) -> str:
        return f"ZeRO stage {self.zero_stage} in {self.precision}"

    def check_readable_by(self, other: "Layout", folder: str) -> None:
        """Refuse to continue with ``other`` from what was written into ``folder``.

        Raises:
            CheckpointError: they differ; the message says which options to set.
        """
        names = [field.name for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]
        if names:
            options = " ".join(f"--scale.{name} {getattr(self, name)}" for name in names)
            raise CheckpointError(f"{folder} was written with {self}, which {other} cannot read: continue with {options}")
