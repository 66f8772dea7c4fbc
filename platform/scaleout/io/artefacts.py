"""What a folder holds, for messages when it is given in place of another."""

from collections.abc import Mapping
from typing import Any

from medvlp.errors import DataError
from medvlp.json_values import parse_object
from scaleout.io import storage

MANIFEST_FILE = "manifest.json"
_MARKS = {
    "sweep.json": "a sweep",
    "run.json": "a run",
    "COMPLETE.json": "a checkpoint of a run",
    "bundle.json": "a knowledge bundle",
    "import.json": "imported weights",
    "config.json": "a model",
    "tokenizer_config.json": "a tokenizer",
}
"""The file that each artefact has; tests compare them with the modules that write them."""


def kind_of_manifest(facts: Mapping[str, Any]) -> str:
    """Return what a manifest is of, "shards" or "links"; "" for neither."""
    return "links" if "linker" in facts else "shards" if "corpus" in facts else ""


def instead(folder: str) -> str:
    """Return what a folder holds, as the end of a message that something else is missing; "" if that is unknown."""
    names = set(storage.list_names(folder))
    if MANIFEST_FILE in names:
        held = _manifest(folder)
    else:
        held = next((what for mark, what in _MARKS.items() if mark in names), "")
    return f" (it holds {held})" if held else ""


def _manifest(folder: str) -> str:
    try:
        return kind_of_manifest(parse_object(storage.read_bytes(storage.join(folder, MANIFEST_FILE))))
    except (ValueError, DataError):
        return ""  # a damaged one: the caller's message stands without it
