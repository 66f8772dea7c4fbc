"""Published weights from a Hugging Face folder or name."""

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from transformers import AutoConfig, PreTrainedConfig
from transformers.utils import logging as transformers_logging

from medvlp.data.foreign import plain_reasons
from medvlp.data.hub import reads_only_local_files
from medvlp.errors import ConfigurationError

logger = logging.getLogger(__name__)


def load_published(model_class: Any, source: str, **settings: Any) -> Any:
    """Load the model of ``source``, in float32 whatever its stored precision. Logs one line about weights that it does not need.

    Args:
        model_class: a class of transformers.
        source: a Hugging Face folder or name.
        settings: overrides of the published configuration.

    Raises:
        ConfigurationError: there is none, it is damaged, or the published weights lack a weight of the model.
    """
    with _clear_errors(source), _quiet():
        local = {"trust_remote_code": False, "local_files_only": reads_only_local_files(source)}
        model, report = model_class.from_pretrained(source, dtype=torch.float32, output_loading_info=True, **local, **settings)
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ConfigurationError(f"{source} holds no weights for {missing} …: give a {type(model).__name__} or a model that contains one")
    if unused := Counter(name.split(".")[0] for name in report["unexpected_keys"]):
        parts = ", ".join(f"{part} ({count})" for part, count in sorted(unused.items()))
        logger.info("%s: loaded a %s; not needed: %s", source, type(model).__name__, parts)
    return model


def published_config(source: str, option: str, kinds: tuple[str, ...]) -> PreTrainedConfig:
    """Return the configuration of the model of ``source``, without its weights.

    Args:
        source: a Hugging Face folder or name.
        option: the option that names it, for messages.
        kinds: the types of models that it may be.

    Raises:
        ConfigurationError: there is none, or it is another type of model.
    """
    with _clear_errors(source), _quiet():
        config = AutoConfig.from_pretrained(source, trust_remote_code=False, local_files_only=reads_only_local_files(source))
    if config.model_type not in kinds:
        raise ConfigurationError(f"{source} holds a model of type {config.model_type!r}: set {option} to one of type {' or '.join(kinds)}")
    return config


def _clear_errors(source: str) -> AbstractContextManager[None]:
    return plain_reasons(lambda why: ConfigurationError(f"no weights at {source}: {why}; give a complete Hugging Face folder, or a name"))


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the report of transformers, a table of up to 30 lines, and its progress bars: ``load_published`` checks what it says."""
    verbosity, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bars:
            transformers_logging.enable_progress_bar()
