"""The same inputs on one thread give the same samples and the same losses as when these figures were written down.

They are those of the code before tasks, starts and evaluation were taken apart, so a change of any of them that changes what is
learned shows here. Whoever changes the numbers on purpose (other draws, another initialisation) writes new ones down, and says why.
"""

import hashlib
import json
from pathlib import Path

import pytest
import torch

from scaleout.train.hooks.ledger import LEDGER_FOLDER
from tests.scaleout.train.ledger import read_ledger
from tests.scaleout.train.tiny_run import TinyRun, tiny_config

LEDGER = "1616927bebe00fbf"
"""Of the keys of every micro-batch."""
LOSSES = {
    1: 9.122108459472656,
    2: 9.136432647705078,
    3: 9.046618461608887,
    4: 8.961894989013672,
    5: 8.888561248779297,
    6: 8.838566780090332,
}
"""train/loss by step."""
VALIDATION = {
    "align_loss": 1.338193416595459,
    "itm_loss": 0.6934847235679626,
    "mim_loss": 0.9323034286499023,
    "mlm_loss": 6.458620071411133,
}
"""After the last step."""


def test_samples_and_losses_are_those_written_down(
    phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path
) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        run = TinyRun(tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path, ledger=True))
        run.run()
    finally:
        torch.set_num_threads(threads)
    consumed = read_ledger(str(run.folder / LEDGER_FOLDER))
    metrics = run.metrics()
    assert hashlib.sha256(json.dumps(consumed).encode()).hexdigest()[:16] == LEDGER
    assert {step: values["train/loss"] for step, values in metrics.items()} == pytest.approx(LOSSES, rel=1e-5)
    last = metrics[max(metrics)]
    assert {name: last[f"val/{name}"] for name in VALIDATION} == pytest.approx(VALIDATION, rel=1e-5)
