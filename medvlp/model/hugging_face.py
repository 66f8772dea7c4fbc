"""Published weights from a Hugging Face folder or name."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from medvlp.data.hub import reads_only_local_files
from medvlp.errors import ConfigurationError


def load_published(model_class: Any, source: str, **settings: Any) -> Any:
    """Load the model of ``source``, in float32 whatever its stored precision.

    Args:
        model_class: a class of transformers.
        source: a Hugging Face folder or name.
        settings: overrides of the published configuration.

    Raises:
        ConfigurationError: there is none, or the published weights lack a weight of the model.
    """
    with clear_errors(source):
        model, report = model_class.from_pretrained(
            source, dtype=torch.float32, output_loading_info=True, local_files_only=reads_only_local_files(source), **settings
        )
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ConfigurationError(f"{source} holds no weights for {missing} …: give a {type(model).__name__} or a model that contains one")
    return model


@contextmanager
def clear_errors(source: str) -> Iterator[None]:
    """Report in one line that ``source`` cannot be read."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigurationError(f"no weights at {source}: {reason}; give a Hugging Face folder or model") from error
