"""The training loop. It knows an engine, a stream, a store and a tracker, and neither Ray nor DeepSpeed."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import torch

from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.errors import TrainingError
from scaleout.stream.batches import BatchStream, MicroBatch
from scaleout.tracking.tracker import Tracker
from scaleout.train.checkpoint import CheckpointStore
from scaleout.train.config import RunConfig
from scaleout.train.device import Usage, usage_metrics
from scaleout.train.engine import Engine
from scaleout.train.ranks import Ranks
from scaleout.train.validation import Validation

SHARE_COUNTS_FROM = 1000
"""Samples below which one bad sample says little about their share."""


@dataclass
class Progress:
    """How far the run is."""

    step: int = 0
    """Optimiser steps done."""
    skipped: int = 0
    """Samples of the whole run that did not decode, over all workers."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Everything that one worker needs to train."""

    config: RunConfig
    engine: Engine
    stream: BatchStream
    validation: Validation
    store: CheckpointStore
    tracker: Tracker
    ranks: Ranks
    fingerprints: dict[str, str]
    announce: Callable[[str], None]
    """Tells the user; called by the first worker only."""
    flops_per_sample: Callable[[int], float]
    """What a sample costs whose text is padded to the given width."""
    go_on: Callable[[dict[str, float], int], bool] = lambda metrics, step: True
    """Asked after every validation, on every worker: the run ends early, with a checkpoint, unless all agree to go on."""

    def run(self, progress: Progress) -> dict[str, float]:
        """Train to the last step, or until told to stop; returns the metrics of the last validation."""
        train = self.config.train
        batches = iter(self.stream)
        window = Window()
        metrics: dict[str, float] = {}
        stopped = False
        self.engine.task.train()
        while progress.step < train.max_steps and not stopped:
            norm = self._step(batches, window)
            progress.step += 1
            last = progress.step == train.max_steps
            if progress.step % train.log_every == 0 or last:
                self._report(window, norm, progress)
                window = Window()
            if progress.step % train.validate_every == 0 or last:
                with window.paused():
                    metrics = self._validate(progress.step)
                    stopped = not all(self.ranks.gather(self.go_on(metrics, progress.step)))
            if progress.step % train.checkpoint_every == 0 or last or stopped:
                with window.paused():
                    self._count_skipped(window, progress)
                    self._save(progress)
        return metrics

    def _step(self, batches: Iterator[MicroBatch], window: "Window") -> float:
        """One optimiser step; returns the norm of its gradient."""
        norm = None
        losses: list[tuple[MicroBatch, torch.Tensor]] = []
        window.rates = self.engine.learning_rates()  # before the step moves the schedule on
        for _ in range(self.config.accumulation):
            started = time.perf_counter()
            micro = next(batches, None)
            waited = time.perf_counter() - started
            if micro is None:
                raise TrainingError("the stream ended before the last step; this is a defect: keep the run's folder and report it")
            # Dropout and patch masks depend on the micro-batch, not on the worker that happens to have it.
            torch.manual_seed(keyed_seed(self.config.train.seed, Purpose.MODEL, micro.number))
            started = time.perf_counter()
            batch = micro.batch.to(self.engine.device)
            window.spend({"data_wait": waited, "transfer": time.perf_counter() - started, **micro.seconds})
            output = self.engine.forward(batch)
            self.engine.backward(output.loss)
            norm = self.engine.step()
            losses.append((micro, output.loss.detach()))
            window.add(output.loss.detach(), output.losses, micro)
            window.flops += len(micro.batch) * self.flops_per_sample(micro.batch.token_ids.shape[1])
        window.steps += 1
        assert norm is not None, "the engine counts other micro-batches than the loop"
        if not math.isfinite(norm):
            raise TrainingError(self._not_finite(losses))
        return norm

    def _not_finite(self, losses: list[tuple[MicroBatch, torch.Tensor]]) -> str:
        """Name the micro-batches, on any worker, whose loss is not finite; all of the step if only the gradient is not."""
        mine = [(micro.number, micro.batch.keys, math.isfinite(float(loss))) for micro, loss in losses]
        step = sorted(entry for part in self.ranks.gather(mine) for entry in part)
        blamed = [entry for entry in step if not entry[2]] or step
        named = "; ".join(f"micro-batch {number} (samples {', '.join(keys)})" for number, keys, _ in blamed)
        return f"the gradient is not finite, from {named}: lower train.optimiser.learning_rate, or look at these samples"

    def _report(self, window: "Window", norm: float, progress: Progress) -> None:
        """Put a point on every training curve, and stop a run whose data is bad."""
        seconds = time.perf_counter() - window.started
        self._count_skipped(window, progress)
        means, stages, usages = zip(*self.ranks.gather(window.figures(self.engine.device, seconds)), strict=True)
        metrics = {name: sum(part[name] for part in means) / len(means) for name in means[0]}
        samples = window.steps * self.config.train.global_batch
        rates = window.rates
        metrics |= {"train/lr": rates.get("encoders", next(iter(rates.values()))), "train/grad_norm": norm}
        metrics |= {f"train/lr_{role}": rate for role, rate in rates.items()}
        metrics["train/skipped_samples"] = progress.skipped
        metrics["perf/samples_per_second"] = samples / seconds
        spent = {name: sum(part[name] for part in stages) / len(stages) for name in stages[0]}
        metrics["perf/data_stall_fraction"] = spent["data_wait"] / seconds
        metrics["perf/step_seconds"] = seconds / window.steps
        metrics |= {f"perf/{name}_seconds": total / window.steps for name, total in spent.items()}
        metrics |= {f"train/skipped_samples_{reason}": float(count) for reason, count in window.reasons.items()}
        metrics |= usage_metrics(usages)
        if self.ranks.is_first:
            self.tracker.metrics(metrics, progress.step)
            self._tell(self._progress_line(metrics, progress.step))
        self._check_bad_samples(progress)

    def _count_skipped(self, window: "Window", progress: Progress) -> None:
        """Count the samples that did not decode on any worker since the last call."""
        counts = Counter(skipped for part in self.ranks.gather(window.skipped) for skipped in part)
        window.skipped = []
        for (shard, reason), count in sorted(counts.items()):
            progress.skipped += count
            window.reasons[reason] += count
            self._tell(f"samples of shard {shard} that did not decode: {count} ({reason})")

    def _check_bad_samples(self, progress: Progress) -> None:
        seen = progress.step * self.config.train.global_batch
        allowed = self.config.data.bad_samples
        if progress.skipped > allowed * max(seen, SHARE_COUNTS_FROM):
            raise TrainingError(
                f"{progress.skipped} of {seen} samples did not decode, more than data.bad_samples {allowed:.2%} allows; "
                "make the shards again with jobs/prepare.py, which leaves such samples out, or raise it"
            )

    def _validate(self, step: int) -> dict[str, float]:
        metrics, pictures = self.validation.run(self.engine, self.ranks)
        metrics = {f"val/{name}": value for name, value in metrics.items()}
        if self.ranks.is_first:
            self.tracker.metrics(metrics, step)
            for name, picture in pictures.items():
                self.tracker.picture(name, picture, step)
            self._tell(f"step {step}: " + ", ".join(f"{name.removeprefix('val/')} {value:.3f}" for name, value in sorted(metrics.items())))
        return metrics

    def _save(self, progress: Progress) -> None:
        started = time.perf_counter()
        facts = {
            "step": progress.step,
            "position": progress.step * self.config.train.global_batch,
            "skipped": progress.skipped,
            "workers": self.ranks.workers,
            "zero_stage": self.config.scale.zero_stage,
            "fingerprints": self.fingerprints,
        }
        self.store.save(self.engine, self.ranks, facts)
        if self.ranks.is_first:
            self.tracker.metrics({"perf/checkpoint_seconds": time.perf_counter() - started}, progress.step)

    def _progress_line(self, metrics: dict[str, float], step: int) -> str:
        total = self.config.train.max_steps
        rate = metrics["perf/samples_per_second"]
        end = datetime.now() + timedelta(seconds=(total - step) * self.config.train.global_batch / rate)
        losses = ", ".join(
            f"{name.removeprefix('train/').removesuffix('_loss')} {value:.3f}" for name, value in metrics.items() if name.endswith("loss")
        )
        stall = metrics["perf/data_stall_fraction"]
        return f"step {step}/{total}: {losses}; {rate:.0f} samples/s, {stall:.0%} waiting for data; training ends about {end:%H:%M:%S}"

    def _tell(self, text: str) -> None:
        if self.ranks.is_first:
            self.announce(text)


@dataclass
class Window:
    """What is added up between two points of the training curves, on one worker."""

    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)
    """Sums of what is timed: see ``MicroBatch.seconds``; "data_wait" of the loop for batches, "transfer" to the device."""
    steps: int = 0
    micro_batches: int = 0
    flops: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    """Learning rates of the last step."""
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    """Samples that did not decode on any worker, by reason."""

    def add(self, loss: torch.Tensor, losses: dict[str, torch.Tensor], micro: MicroBatch) -> None:
        """Count one micro-batch. Sums stay on the device: reading them would make the GPU wait."""
        self.micro_batches += 1
        self.skipped.extend(micro.batch.skipped)
        for name, value in {"train/loss": loss, **{f"train/{name}_loss": value for name, value in losses.items()}}.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value

    def spend(self, seconds: dict[str, float]) -> None:
        """Add up what one micro-batch took."""
        for name, value in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time of what is done inside."""
        started = time.perf_counter()
        yield
        self.started += time.perf_counter() - started

    def figures(self, device: torch.device, seconds: float) -> tuple[dict[str, float], dict[str, float], Usage]:
        """Mean losses, seconds by stage, and use of the device: what the first worker hears of each."""
        return self.means(), dict(self.seconds), Usage.of(device, self.flops / seconds)

    def means(self) -> dict[str, float]:
        """Mean of every loss over the micro-batches."""
        return {name: float(value) / self.micro_batches for name, value in self.sums.items()}
