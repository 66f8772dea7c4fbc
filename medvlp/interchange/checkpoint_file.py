"""Read a third-party checkpoint: tensors by name. Nothing in the file is ever executed."""

import zipfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from medvlp.data.foreign import plain_reasons
from medvlp.errors import CheckpointError

_BOOKKEEPING = ("pytorch_lightning.", "lightning.", "torchmetrics.", "sacred.")
"""Packages whose objects Lightning keeps beside the weights: callbacks, loops, settings. They are read as ``Inert``."""


class Inert:
    """Placeholder for an object of a checkpoint that is not a tensor; it stores and does nothing."""

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the weights of a ``.ckpt``, ``.pt`` or ``.safetensors`` file, by their names in the file.

    Raises:
        CheckpointError: there is no such file, or it is damaged, contains code, or contains no weights.
    """
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    content: Any = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else {}
    weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    if not weights:
        raise CheckpointError(f"{path} contains no weights: neither named tensors nor a state_dict of them")
    return weights


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    with _clear_errors(path):
        return load_file(path)


def _read_pickle(path: Path) -> Any:
    with _clear_errors(path), ExitStack() as stack:
        unknown = get_unsafe_globals_in_checkpoint(path) if zipfile.is_zipfile(path) else []
        foreign = [name for name in unknown if not name.startswith(_BOOKKEEPING)]
        if foreign:
            raise CheckpointError(
                f"{path} refers to code ({', '.join(foreign[:3])}), which weights do not need: nothing was executed; "
                "ask its authors for safetensors"
            )
        stack.enter_context(safe_globals([(type(name, (Inert,), {}), name) for name in unknown]))
        return torch.load(path, map_location="cpu", weights_only=True)


def _clear_errors(path: Path) -> AbstractContextManager[None]:
    return plain_reasons(lambda why: CheckpointError(f"{path} cannot be read: {why}; is the download complete?"))
