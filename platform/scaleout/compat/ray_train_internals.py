"""Parts of Ray Train that cannot be left out by public means."""

from typing import Any

from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import DatasetsCallback


class DatalessTrainer(TorchTrainer):
    """A trainer without datasets: it starts no actor for them, which would be one process for each group of workers.

    It also leaves Ctrl-C to this project: Ray Train's own handler ends the workers without a checkpoint.
    """

    def _register_sigint_handler(self, controller: Any) -> None:
        pass

    def _create_default_callbacks(self) -> list[object]:
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if not isinstance(callback, DatasetsCallback)]
