"""Plain torch as an engine, in one process."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from medvlp.data.batch import Batch
from medvlp.errors import CheckpointError
from medvlp.tasks.module import TaskOutput
from scaleout.engine.base import TAG, EngineConfig
from scaleout.engine.readings import follow_schedule, gradient_norm, learning_rates


class TorchEngine:
    """Plain torch in one process: what DeepSpeed's engines are compared with. See ``Engine``."""

    def __init__(self, task: nn.Module, optimiser: torch.optim.Optimizer, config: EngineConfig, device: torch.device | None = None):
        self.device = device or torch.device("cpu")
        self.task = task.to(self.device)
        self._optimiser = optimiser
        self._scheduler = LambdaLR(optimiser, config.learning_rate_factor)
        self._config, self.layout = config, config.layout
        self._waiting = 0

    def forward(self, batch: Batch) -> TaskOutput:
        """See ``Engine``."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._config.bf16):
            return self.task(batch)

    def backward(self, loss: Tensor) -> None:
        """See ``Engine``."""
        (loss / self._config.accumulation).backward()

    def step(self) -> float | None:
        """See ``Engine``."""
        self._waiting += 1
        if self._waiting < self._config.accumulation:
            return None
        norm = gradient_norm(self.task)
        if norm.isfinite():
            if self._config.clip_norm:
                torch.nn.utils.clip_grads_with_norm_(self.task.parameters(), self._config.clip_norm, norm)
            self._optimiser.step()
        self._optimiser.zero_grad()
        self._scheduler.step()
        self._waiting = 0
        return float(norm)

    def learning_rates(self) -> dict[str, float]:
        """See ``Engine``."""
        return learning_rates(self._optimiser)

    def save(self, folder: Path) -> None:
        """See ``Engine``."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {"optimiser": self._optimiser.state_dict(), "scheduler": {"last_epoch": self._scheduler.last_epoch}}
        torch.save({"task": self.task.state_dict(), **state}, folder / f"{TAG}.pt")

    def load(self, folder: Path) -> None:
        """See ``Engine``."""
        try:
            state = torch.load(folder / f"{TAG}.pt", map_location=self.device, weights_only=True)
        except OSError as error:
            raise CheckpointError(f"no training state of a single process in {folder}") from error
        self.task.load_state_dict(state["task"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._scheduler.last_epoch = state["scheduler"]["last_epoch"]
        follow_schedule(self._optimiser, self._scheduler)

    def set_frozen(self, weights: Mapping[str, Tensor]) -> None:
        """See ``Engine``."""
        with torch.no_grad():
            for name, parameter in self.task.named_parameters():
                if not parameter.requires_grad:
                    parameter.copy_(weights[name])

    def weights(self) -> dict[str, Tensor]:
        """See ``Engine``."""
        return {name: parameter.detach().float().cpu().clone() for name, parameter in self.task.named_parameters()}
