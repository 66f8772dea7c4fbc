"""Whether a model is on this machine or on the Hugging Face hub, answered at once: transformers tries for a minute to reach the hub."""

from pathlib import Path

from huggingface_hub import constants, is_offline_mode, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError
from huggingface_hub.utils import build_hf_headers, get_session, validate_repo_id

from medvlp.errors import ConfigurationError

_SECONDS = 5.0
_FILES = ("config.json", "tokenizer_config.json", "tokenizer.json", "vocab.txt")
_ABSENT = (401, 403, 404)
"""Answers of the hub about a model that does not exist, or that the user may not read."""


def reads_only_local_files(source: str) -> bool:
    """Return whether to read ``source`` without the hub: it is a folder, or the hub is not to be asked, or it does not answer.

    Args:
        source: a Hugging Face folder or name.

    Raises:
        ConfigurationError: it is no folder, and the hub has no such model, or does not answer and the model is not in the cache.
    """
    if Path(source).exists() or is_offline_mode():
        return True
    try:
        validate_repo_id(source)
        url = f"{constants.ENDPOINT}/api/models/{source}"
        answer = get_session().head(url, headers=build_hf_headers(), timeout=_SECONDS, follow_redirects=True)
    except HFValidationError as error:
        raise ConfigurationError(f"there is no folder {source}, and it is no name of a model on the Hugging Face hub") from error
    except (HTTPError, HfHubHTTPError, OSError) as error:
        if any(isinstance(try_to_load_from_cache(source, name), str) for name in _FILES):
            return True
        reason = f"{constants.ENDPOINT} does not answer ({type(error).__name__})"
        raise ConfigurationError(
            f"there is no folder {source}, and the Hugging Face hub cannot be asked: {reason}; give a folder"
        ) from error
    if answer.status_code in _ABSENT:
        raise ConfigurationError(f"there is no folder {source}, and no model of this name on {constants.ENDPOINT} that you may read")
    return False
