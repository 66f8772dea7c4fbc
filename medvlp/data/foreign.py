"""Files in the formats of other libraries: whatever a library raises on an odd file becomes one reason in plain words."""

import pickle
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from medvlp.errors import MedvlpError

_RAISED = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError, RuntimeError, ArithmeticError, EOFError),
    *(SafetensorError, pickle.UnpicklingError, zipfile.BadZipFile),
)
"""What transformers, tokenizers, safetensors and torch raise on files that are not theirs; tokenizers also raises a bare ``Exception``."""


@contextmanager
def plain_reasons(complaint: Callable[[str], MedvlpError]) -> Iterator[None]:
    """Convert what a library raises on an odd file into the error that ``complaint`` makes of a reason in one line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, MedvlpError) or not (type(error) is Exception or isinstance(error, _RAISED)):
            raise
        raise complaint(plain_reason(error)) from error


def plain_reason(error: Exception) -> str:
    """Return the first sentence of an error's message, and never a library's advice to execute what a file contains."""
    if isinstance(error, pickle.UnpicklingError) or "weights_only" in str(error):
        return "it is a damaged pickle file, or one that refers to code; nothing was executed; ask its authors for safetensors"
    if isinstance(error, RecursionError):
        return "its JSON is nested too deeply"
    if isinstance(error, KeyError):
        return f"{error} is missing"
    return (str(error) or type(error).__name__).splitlines()[0].split(". ")[0].rstrip(".")
