"""Weights that others published, from a Hugging Face folder or name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from medvlp.errors import ConfigurationError


def load_published(model_class: Any, source: str, **settings: Any) -> Any:
    """The model of ``source``, in float32 whatever it was saved in.

    Args:
        model_class: of transformers.
        source: a Hugging Face folder or name.
        settings: of its configuration, in place of the published ones.

    Raises:
        ConfigurationError: there is none, or a weight of the model is not among the published ones.
    """
    with clear_errors(source):
        model, report = model_class.from_pretrained(source, dtype=torch.float32, output_loading_info=True, **settings)
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ConfigurationError(f"{source} holds no weights for {missing} …: name a {type(model).__name__} or a model that contains one")
    return model


@contextmanager
def clear_errors(source: str) -> Iterator[None]:
    """Say in one line that ``source`` cannot be read."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"no weights at {source}: {reason}; name a Hugging Face folder or model") from error
