"""A folder of independent files, one task each: a killed run continues where it stopped.

In the folder, ``plan.json`` describes what is being made, and ``records/`` contains one small record per finished file,
written after the file itself. A file without a record does not count. The caller writes its manifest last, then calls ``finish``.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from medvlp.errors import ConfigurationError, DataError, MedvlpError
from medvlp.json_values import parse_object, typed
from scaleout.cluster import connect
from scaleout.io import storage
from scaleout.io.ahead import in_flight, read_ahead

logger = logging.getLogger(__name__)

PLAN_FILE = "plan.json"
RECORDS = "records"

Record = dict[str, Any]
Make = Callable[[str], tuple[bytes, Record]]
"""Makes the content of one named file, and the details for its record. Picklable and pure."""
RunTasks = Callable[[Callable[[str], Record], Sequence[str]], Iterable[Record]]
"""Applies a function to every name, results in the same order: ``ray_tasks``, or the built-in ``map`` without a cluster."""

IN_FLIGHT = 512
"""Number of Ray tasks started before the first result is awaited: enough for some hundred CPUs, and few enough for a driver."""


def begin(output: str, plan: Record, *, overwrite: bool = False) -> None:
    """Claim ``output`` for ``plan``; the same plan may begin any number of times.

    Raises:
        ConfigurationError: the folder contains something else, or cannot be written.
    """
    plan_uri = storage.join(output, PLAN_FILE)
    wanted = json.dumps(plan, indent=1, sort_keys=True).encode()
    if storage.exists(plan_uri):
        if storage.read_bytes(plan_uri) == wanted:
            return
        if not overwrite:
            change = _difference(plan_uri, plan)
            raise ConfigurationError(f"{output} was made from other input or options ({change}); choose another --output, or --overwrite")
        _check_own(plan_uri, plan)
        logger.info("%s was made from other input or options: all its files are replaced", output)
        storage.delete(output)
    elif storage.list_names(output):
        raise ConfigurationError(f"{output} is not empty and was not made by this job; choose another --output")
    storage.check_writable(output)
    storage.write_bytes(plan_uri, wanted)


def make_files(output: str, names: Sequence[str], make: Make, run: RunTasks) -> Iterator[Record]:
    """Make every named file in ``output`` that has no record yet, lazily, as records are requested; keep none of them.

    Yields:
        One record per name, in the order of ``names``: the details from ``make``, and the file's name, bytes and sha256.

    Raises:
        DataError: a file cannot be made, or a record is damaged.
    """
    finished = {name.removesuffix(".json") for name in storage.list_names(storage.join(output, RECORDS))}
    missing = [name for name in names if name not in finished]
    if len(missing) < len(names):
        logger.info("%d of %d files already exist", len(names) - len(missing), len(names))
    every = -(-len(names) // 10)
    made = iter(run(partial(_make_file, output, make), missing))
    found = read_ahead(partial(_read_record, output), (name for name in names if name in finished))
    for number, name in enumerate(names, start=1):
        record = next(found if name in finished else made)
        if "error" in record:
            raise DataError(record["error"])
        if number % every == 0 or number == len(names):
            logger.info("%d of %d files", number, len(names))
        yield record


def finish(output: str) -> None:
    """Remove the records: the manifest now contains them all."""
    storage.delete(storage.join(output, RECORDS))


def ray_tasks(function: Callable[[str], Record], names: Sequence[str]) -> Iterable[Record]:
    """Run ``function`` on every name in a separate Ray task, a bounded number at a time, results in order.

    Ray is joined or started only if there is work.
    """
    if not names:
        return
    import ray

    with connect():
        shared = [ray.put(function)]  # in a list, Ray passes the reference and not the object
        run_one = ray.remote(_run_one)
        wait: Callable[[Any], Record] = ray.get
        # Kill the worker too: an interrupt in the middle of an import would leave it broken for its next task.
        cancel = partial(ray.cancel, force=True)
        yield from in_flight(names, partial(run_one.remote, shared), wait, cancel, most=IN_FLIGHT)


_functions: dict[str, Callable[[str], Record]] = {}
"""The last function of this worker, by its object reference: unpickling a linker for every file would take longer than the file."""


def _run_one(shared: list[Any], name: str) -> Record:
    """Run ``function`` on one name, in a Ray worker."""
    import ray

    (reference,) = shared
    if reference.hex() not in _functions:
        _functions.clear()
        _functions[reference.hex()] = ray.get(reference)
    return _functions[reference.hex()](name)


def _make_file(output: str, make: Make, name: str) -> Record:
    """Make one file, write it, then write its record; runs on a worker."""
    try:
        content, details = make(name)
        storage.write_bytes(storage.join(output, name), content)
        record = {**details, "name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        storage.write_bytes(storage.join(output, RECORDS, f"{name}.json"), json.dumps(record).encode())
    except MedvlpError as error:  # returned, not raised: Ray would wrap it in its own exceptions and traceback
        return {"name": name, "error": f"{name}: {error}"}
    return record


@dataclass(frozen=True)
class _File:
    """What every record contains, beside its details."""

    name: str
    bytes: int
    sha256: str


def _read_record(output: str, name: str) -> Record:
    uri = storage.join(output, RECORDS, f"{name}.json")
    try:
        record = parse_object(storage.read_bytes(uri))
        if typed(_File, record).name != name:
            raise ValueError("it is about another file")
    except ValueError as error:
        raise DataError(f"{uri} is damaged ({error}); delete it and run again") from error
    return record


def _check_own(plan_uri: str, plan: Record) -> None:
    """Check that what is to be deleted was made by the same job; a damaged plan of it may be replaced."""
    with suppress(ValueError):
        if parse_object(storage.read_bytes(plan_uri)).keys() != plan.keys():
            raise ConfigurationError(f"{plan_uri} is that of another job, or of another version of this one: choose another --output")


def _difference(plan_uri: str, plan: Record) -> str:
    try:
        found = parse_object(storage.read_bytes(plan_uri))
    except ValueError:
        return f"{PLAN_FILE} is damaged"
    keys = sorted({*found, *plan})
    return ", ".join(f"{key}: found {found.get(key)}, requested {plan.get(key)}" for key in keys if found.get(key) != plan.get(key))
