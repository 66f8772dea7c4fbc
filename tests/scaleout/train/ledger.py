"""What a run wrote of the samples that it consumed, read back and compared."""

import json
from collections.abc import Mapping

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.train.hooks.ledger import Step


def read_ledger(folder: str) -> dict[int, Step]:
    """All steps of a run, in order, with the micro-batches of all workers.

    Raises:
        DataError: two files disagree about a micro-batch.
    """
    steps: dict[int, Step] = {}
    for name in storage.list_names(folder):
        part: Mapping[str, Mapping[str, list[str]]] = json.loads(storage.read_bytes(storage.join(folder, name)))
        for step, micro_batches in part.items():
            for number, keys in micro_batches.items():
                if steps.setdefault(int(step), {}).setdefault(int(number), keys) != keys:
                    raise DataError(f"{storage.join(folder, name)} says other samples of micro-batch {number} than a file before it")
    return {step: dict(sorted(steps[step].items())) for step in sorted(steps)}
