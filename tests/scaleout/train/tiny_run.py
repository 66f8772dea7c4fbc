"""A whole pre-training run of the smallest model on a few phantoms, in this process: torch's engine, no Ray."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from medvlp.data.batch import Batch
from medvlp.data.collate import Collate
from medvlp.data.sample import StreamRow
from medvlp.optimisation import OptimiserConfig, build_optimiser, learning_rate_factor, parameter_groups
from scaleout.checkpoint.lease import Lease
from scaleout.engine.base import EngineConfig
from scaleout.engine.process_group import ProcessGroup
from scaleout.runs.config import DataConfig, RunConfig, TrainConfig
from scaleout.runs.inputs import Inputs, open_tokenizer, task_context, training_split
from scaleout.runs.record import checkpoint_store, run_folder
from scaleout.stream.batches import BatchStream
from scaleout.stream.local import local_tables
from scaleout.tracking import CompositeTracker, JsonLinesTracker, Tracker
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import read_records
from scaleout.train.hooks.ledger import open_ledger
from scaleout.train.loop import Loop, Progress
from scaleout.train.worker import build_validation
from tests.medvlp.tiny import model_config, pretext_config
from tests.scaleout.engine.torch_engine import TorchEngine


def tiny_config(shards: str, links: str, knowledge: Path, storage: Path, **train: Any) -> RunConfig:
    """Six steps of two micro-batches of eight phantoms, with dropout; validated and saved after the third."""
    model = model_config(dropout=0.1)
    settings: dict[str, Any] = {
        "max_steps": 6,
        "global_batch": 16,
        "micro_batch": 8,
        "optimiser": OptimiserConfig(learning_rate=1e-3),
        "log_every": 1,
        "validate_every": 3,
        "validation_samples": 48,
        "findings": ["finding"],
        "checkpoint_every": 3,
    }
    return RunConfig(
        name="tiny",
        storage=str(storage),
        knowledge=str(knowledge),
        data=DataConfig(shards=shards, links=links, maximum_tokens=32, maximum_entities=8, width_multiple=8, window_shards=2),
        train=TrainConfig(**{**settings, **train}),
        model=replace(model, language=replace(model.language, positions=34)),
        task=pretext_config(),
    )


class TinyRun:
    """One process's life of a run: what ``worker.py`` builds, with torch's engine in place of DeepSpeed's."""

    def __init__(
        self,
        config: RunConfig,
        collate: Callable[[Collate], Collate] = lambda collate: collate,
        *,
        trackers: Sequence[Tracker] = (),
        curves: Path | None = None,
        lease: Lease | None = None,
    ):
        """``collate`` may spoil what the run is fed; ``curves`` is a local folder for a run whose own one is remote."""
        inputs, processes = Inputs.open(config), ProcessGroup()
        has_files = any(isinstance(tracker, JsonLinesTracker) for tracker in trackers)
        torch.manual_seed(0)
        context = task_context(config, open_tokenizer(config.data), inputs.bundle, {})
        module = config.task.build(context)
        optimiser = config.train.optimiser
        groups = parameter_groups(module, module.arl, optimiser, knowledge_multiplier=config.task.knowledge_multiplier(optimiser))
        factor = partial(learning_rate_factor, total=config.train.max_steps, warmup=optimiser.warmup)
        settings = EngineConfig(config.train.micro_batch, config.schedule(1).accumulation, optimiser.clip_norm, 0, False, factor)
        self.engine = TorchEngine(module, build_optimiser(groups, optimiser), settings)
        self.store = checkpoint_store(config, lease)
        self.folder = curves or Path(run_folder(config))
        self.lines: list[str] = []
        self.progress, start = Progress(), 0
        if (newest := self.store.newest()) is not None:
            self.store.resume(self.engine, newest[0], newest[1], processes)
            self.progress, start = Progress.of(newest[1]), newest[1].position
        micro_batch, stop = config.train.micro_batch, config.train.max_steps * config.train.global_batch
        split = training_split(config, inputs.corpora, inputs.bundle)
        files = [] if has_files else [JsonLinesTracker(self.folder)]
        self.loop = Loop(
            config=config,
            engine=self.engine,
            stream=BatchStream(
                tables=lambda: local_tables(split, start, stop, micro_batch, rank=0, workers=1),
                collate=collate(config.task.collate(context, augment=True)),
                micro_batch=micro_batch,
                first=start // micro_batch,
                stride=1,
            ),
            validation=build_validation(config, context, inputs, processes),
            store=self.store,
            tracker=CompositeTracker([*files, *trackers]),
            processes=processes,
            fingerprints=inputs.fingerprints,
            announce=self.lines.append,
            ledger=open_ledger(config, processes),
        )

    def run(self, stop_at: int | None = None) -> dict[str, float]:
        """Train to the end, or until the validation at step ``stop_at``."""
        return replace(self.loop, keep_training=lambda metrics, step: step != stop_at).run(self.progress)

    def metrics(self) -> dict[int, dict[str, float]]:
        """All that was tracked, by step."""
        found: dict[int, dict[str, float]] = {}
        for record in read_records(self.folder / METRICS_FILE):
            found.setdefault(record["step"], {}).update({name: float(value) for name, value in record["metrics"].items()})
        return found


def spoilt_images(positions: set[int]) -> Callable[[Collate], Collate]:
    """Makes the samples at these positions undecodable."""

    def wrap(collate: Collate) -> Collate:
        def spoil(rows: list[StreamRow]) -> Batch:
            return collate([replace(row, image=b"") if row.position in positions else row for row in rows])

        return spoil

    return wrap


def spoilt_loss(number: int, value: float) -> Callable[[Collate], Collate]:
    """Makes the loss of one micro-batch ``value``."""

    def wrap(collate: Collate) -> Collate:
        def spoil(rows: list[StreamRow]) -> Batch:
            batch = collate(rows)
            return replace(batch, weight=batch.weight * value) if rows[0].position == number * len(rows) else batch

        return spoil

    return wrap
