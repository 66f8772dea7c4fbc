"""A folder of files and its manifest: facts in ``manifest.json``, one record per file in ``index.parquet``.

The manifest is written last, so its existence shows that the folder is complete; it contains the hash of the records.
"""

import json
from collections.abc import Mapping
from dataclasses import make_dataclass
from typing import Any, TypeVar

from medvlp.errors import DataError
from medvlp.json_values import parse_object, typed
from scaleout.io import storage
from scaleout.io.artefacts import MANIFEST_FILE, instead, kind_of_manifest
from scaleout.io.record_table import RecordTable

INDEX_FILE = "index.parquet"
_FILE_NAME = r"^[^./\\\x00][^/\\\x00]*(/[^./\\\x00][^/\\\x00]*)*$"
"""Valid name of a file in a manifest: a name, or a path below the folder."""

R = TypeVar("R")


def write_manifest(folder: str, facts: Mapping[str, Any], records: RecordTable[Any]) -> None:
    """Write the records, then the facts: JSON values, including "version" and "fingerprint"."""
    records.save(storage.join(folder, INDEX_FILE))
    storage.write_bytes(storage.join(folder, MANIFEST_FILE), json.dumps(facts, ensure_ascii=False, indent=1).encode())


def read_manifest(
    folder: str, kind: type[R], version: int, facts: Mapping[str, Any], what: str, maker: str
) -> tuple[dict[str, Any], RecordTable[R]]:
    """Return the given facts and "fingerprint", and the records, as written by ``write_manifest``.

    Args:
        folder: URI of the folder.
        kind: Dataclass of a record.
        version: Version that this code reads.
        facts: Names and types of the facts to return.
        what: Content of the folder, in the plural, for messages.
        maker: Job that makes the folder.

    Raises:
        DataError: the folder is not complete, or its manifest is damaged, has another version, or names a file outside the folder.
    """
    uri = storage.join(folder, MANIFEST_FILE)
    if not storage.exists(uri):
        option = f"--{what} (of jobs/pretrain.py and jobs/finetune.py: --data.{what})"
        raise DataError(
            f"no complete {what} in {folder} ({MANIFEST_FILE} is missing){instead(folder)}: if they were moved, give their new place with "
            f"{option}, else make them with {maker}"
        )
    try:
        content = parse_object(storage.read_bytes(uri))
        held = kind_of_manifest(content)
        found = typed(int, content.get("version"))
        kinds = make_dataclass("Facts", [("fingerprint", str), *facts.items()])
        wanted = dict(vars(typed(kinds, content))) if found == version and held in ("", what) else {}
    except ValueError as error:
        raise DataError(f"{uri} is damaged ({error}); make the {what} again with {maker}") from error
    if held not in ("", what):
        raise DataError(f"{folder} holds {held}, not {what}: give the folder that {maker} made")
    if found != version:
        newer = found > version
        remedy = "use the release of medvlp that made it, or a newer one" if newer else f"make the {what} again with {maker}"
        raise DataError(f"{uri} has version {found}, this code reads {version}; {remedy}")
    records = RecordTable.load(kind, storage.join(folder, INDEX_FILE), maker)
    if (bad := records.first_unlike("name", _FILE_NAME)) is not None:
        raise DataError(f"{storage.join(folder, INDEX_FILE)} was altered: {bad!r} is not a file name; make the {what} again with {maker}")
    return wanted, records


def check_stated(folder: str, stated: Mapping[str, Any], found: Mapping[str, Any], what: str, maker: str) -> None:
    """Check facts that follow from the records too; people read them in the manifest.

    Raises:
        DataError: one contradicts the records.
    """
    for name, value in found.items():
        if stated[name] != value:
            uri = storage.join(folder, MANIFEST_FILE)
            raise DataError(f"{uri} was altered: it states {name} {stated[name]}, its {what} have {value}; make them again with {maker}")


def check_fingerprint(folder: str, expected: str, found: str, what: str, maker: str) -> None:
    """Check that facts and records belong together.

    Raises:
        DataError: one of the two files was altered.
    """
    if expected != found:
        uri = storage.join(folder, MANIFEST_FILE)
        raise DataError(f"{uri} was altered: its fingerprint does not match its {what}; make them again with {maker}")
