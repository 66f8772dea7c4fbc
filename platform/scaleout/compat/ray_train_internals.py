"""What Ray Train has no public way to leave out."""

from ray.train.torch import TorchTrainer
from ray.train.v2._internal.callbacks import DatasetsCallback


class DatalessTrainer(TorchTrainer):
    """A trainer that is given no datasets: it starts no actor that would hand them out, which is a process for each group of workers."""

    def _create_default_callbacks(self) -> list[object]:
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if not isinstance(callback, DatasetsCallback)]
