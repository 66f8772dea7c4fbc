"""A folder of independent files, one task each: a killed run continues where it stopped.

In the folder, ``plan.json`` says what is being made, and ``records/`` holds one small record per finished file, written
after the file itself. A file without a record does not count. The caller writes its manifest last, then calls ``finish``.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from medvlp.errors import ConfigurationError, DataError, MedvlpError
from scaleout.cluster import connect
from scaleout.io import storage
from scaleout.io.ahead import in_flight, read_ahead

logger = logging.getLogger(__name__)

PLAN_FILE = "plan.json"
RECORDS = "records"

Record = dict[str, Any]
Make = Callable[[str], tuple[bytes, Record]]
"""Makes the content of one named file, and what is to be remembered of it. Picklable and pure."""
RunTasks = Callable[[Callable[[str], Record], Sequence[str]], Iterable[Record]]
"""Applies a function to every name, results in the same order: ``ray_tasks``, or the built-in ``map`` where there is no cluster."""

IN_FLIGHT = 512
"""Tasks that Ray is given before the first result is awaited: enough for some hundred CPUs, and what a driver easily holds."""


def begin(output: str, plan: Record, *, overwrite: bool = False) -> None:
    """Claim ``output`` for ``plan``; the same plan may begin any number of times.

    Raises:
        ConfigurationError: the folder holds something else, or cannot be written.
    """
    plan_uri = storage.join(output, PLAN_FILE)
    wanted = json.dumps(plan, indent=1, sort_keys=True).encode()
    if storage.exists(plan_uri):
        if storage.read_bytes(plan_uri) == wanted:
            return
        if not overwrite:
            change = _difference(plan_uri, plan)
            raise ConfigurationError(f"{output} was made from other input or options ({change}); choose another --output, or --overwrite")
        storage.delete(output)
    elif storage.list_names(output):
        raise ConfigurationError(f"{output} is not empty and was not made by this job; choose another --output")
    storage.check_writable(output)
    storage.write_bytes(plan_uri, wanted)


def make_files(output: str, names: Sequence[str], make: Make, run: RunTasks) -> Iterator[Record]:
    """Make every named file in ``output`` that has no record yet, while the records are asked for: none is kept here.

    Yields:
        One record per name, in the order of ``names``: what ``make`` gave, and the file's name, bytes and sha256.

    Raises:
        DataError: a file cannot be made, or a record is damaged.
    """
    finished = {name.removesuffix(".json") for name in storage.list_names(storage.join(output, RECORDS))}
    missing = [name for name in names if name not in finished]
    if len(missing) < len(names):
        logger.info("%d of %d files are there already", len(names) - len(missing), len(names))
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
    """Remove the records: the manifest holds them all now."""
    storage.delete(storage.join(output, RECORDS))


def ray_tasks(function: Callable[[str], Record], names: Sequence[str]) -> Iterable[Record]:
    """Run ``function`` on every name as a Ray task of its own, a bounded number of them at a time, results in order.

    Ray is only joined, or started, if there is work.
    """
    if not names:
        return
    import ray

    with connect():
        shared = [ray.put(function)]  # in a list Ray hands on the reference, not what it refers to
        run_one = ray.remote(_run_one)
        wait: Callable[[Any], Record] = ray.get
        # With its worker: an interrupt in the middle of an import would leave the worker broken for whoever gets it next.
        cancel = partial(ray.cancel, force=True)
        yield from in_flight(names, partial(run_one.remote, shared), wait, cancel, most=IN_FLIGHT)


_functions: dict[str, Callable[[str], Record]] = {}
"""What this worker ran last, by the reference that it came with: unpacking a linker for every file would take longer than the file."""


def _run_one(shared: list[Any], name: str) -> Record:
    """What runs in a Ray worker."""
    import ray

    (reference,) = shared
    if reference.hex() not in _functions:
        _functions.clear()
        _functions[reference.hex()] = ray.get(reference)
    return _functions[reference.hex()](name)


def _make_file(output: str, make: Make, name: str) -> Record:
    """What runs on a worker: make, write, remember."""
    try:
        content, details = make(name)
        storage.write_bytes(storage.join(output, name), content)
        record = {**details, "name": name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        storage.write_bytes(storage.join(output, RECORDS, f"{name}.json"), json.dumps(record).encode())
    except MedvlpError as error:  # as a value: Ray would wrap it in its own exceptions and traceback
        return {"name": name, "error": f"{name}: {error}"}
    return record


def _read_record(output: str, name: str) -> Record:
    uri = storage.join(output, RECORDS, f"{name}.json")
    try:
        record = dict(json.loads(storage.read_bytes(uri)))
        if record["name"] != name:
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{uri} is damaged; delete it and run again") from error
    return record


def _difference(plan_uri: str, plan: Record) -> str:
    try:
        found = json.loads(storage.read_bytes(plan_uri))
    except ValueError:
        return f"{PLAN_FILE} is damaged"
    keys = sorted({*found, *plan})
    return ", ".join(f"{key}: {found.get(key)} there, {plan.get(key)} asked for" for key in keys if found.get(key) != plan.get(key))
