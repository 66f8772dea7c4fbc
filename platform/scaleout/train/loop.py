"""The training loop. It uses an engine, a stream, a store and a tracker, and knows neither Ray nor DeepSpeed."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

import torch

from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.errors import ConfigurationError, TrainingError
from scaleout.checkpoint.record import CheckpointRecord
from scaleout.checkpoint.store import CheckpointStore
from scaleout.checkpoint.upload import CheckpointUpload
from scaleout.engine.base import Engine
from scaleout.engine.device import usage_metrics
from scaleout.engine.process_group import ProcessGroup
from scaleout.runs.config import RunConfig
from scaleout.stream.batches import MicroBatches
from scaleout.stream.schedule import AccumulationSchedule, MicroSteps
from scaleout.tracking.tracker import Tracker
from scaleout.train.clock import CheckpointClock
from scaleout.train.evaluation import Evaluator
from scaleout.train.hooks.ledger import Ledger
from scaleout.train.hooks.nonfinite import Forward, name_causes
from scaleout.train.hooks.spikes import SpikeReport
from scaleout.train.hooks.watchdog import Watchdog
from scaleout.train.interval import Interval
from scaleout.train.start_times import StartTimes
from scaleout.train.stop_request import StopRequest

SHARE_COUNTS_FROM = 1000
"""Minimum denominator of the share of bad samples: over fewer samples, a single bad one says little."""


KeepTraining = Callable[[dict[str, float], int], bool]
"""Called after a validation, with its metrics and step; returns whether the run continues. Picklable."""


def keep_going(metrics: dict[str, float], step: int) -> bool:
    """Never stop early."""
    return True


@dataclass
class Progress:
    """Progress of a run."""

    step: int = 0
    """Completed optimiser steps."""
    skipped: int = 0
    """Samples of the whole run that could not be decoded, on all workers."""
    skipped_steps: int = 0
    """Steps of the whole run whose gradient was not finite."""
    is_skipped: bool = False
    """Whether the last step was skipped."""

    @classmethod
    def of(cls, record: CheckpointRecord) -> "Progress":
        """Return the progress at a checkpoint."""
        return cls(record.step, record.skipped, record.skipped_steps, record.ends_with_skipped_step)


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Everything that one worker needs to train."""

    config: RunConfig
    engine: Engine
    stream: MicroBatches
    validation: Evaluator
    store: CheckpointStore
    tracker: Tracker
    processes: ProcessGroup
    fingerprints: dict[str, str]
    announce: Callable[[str], None]
    """Shows the user a line; called by the first worker only."""
    flops_per_sample: Callable[[int], float] | None = None
    """Operations for a sample whose text is padded to the given width; None if not needed, because counting takes a second per width."""
    keep_training: KeepTraining = keep_going
    """Called after every validation, on every worker: the run ends early, with a checkpoint, unless all agree to continue."""
    stop_request: StopRequest = field(default_factory=StopRequest)
    """Checked after every step: the run ends early, with a checkpoint, if any worker was asked to stop."""
    ledger: Ledger | None = None
    more_metrics: Callable[[], dict[str, float]] = dict
    """Called by the first worker for every point of the curves: metrics that the loop cannot know, such as those of the cluster."""
    spikes: SpikeReport = field(default_factory=SpikeReport)
    times: StartTimes | None = None
    """Times of this start, which the first step ends."""

    def run(self, progress: Progress) -> dict[str, float]:
        """Train to the last step, or until asked to stop; return the metrics of the last validation."""
        train = self.config.train
        micro_steps = MicroSteps(iter(self.stream), self._schedule, first=self.stream.first)
        interval = Interval()
        metrics: dict[str, float] = {}
        stopped = is_due = False
        first = progress.step + 1
        clock = CheckpointClock(train.checkpoint_minutes, self.processes)
        self.engine.task.train()
        with Watchdog(60 * train.watchdog_minutes) as watchdog, CheckpointUpload(self.store, self.processes) as upload:
            while progress.step < train.max_steps and not stopped:
                self._step(micro_steps, interval, progress)
                self.stop_request.has_something_to_save = True
                if progress.step == first:  # the slow parts are done: compilation, the start of the data
                    self.processes.limit_waiting(60 * self.config.scale.collective_timeout_minutes)
                    self._report_start(progress.step)
                last = progress.step == train.max_steps
                is_point = progress.step % train.log_every == 0 or last
                is_validated = progress.step % train.validate_every == 0 or last
                if is_point:
                    self._report(interval, progress)
                    interval = Interval()
                if is_validated:
                    with interval.paused():
                        metrics = self._validate(progress.step)
                        stopped = not all(self.processes.gather(self.keep_training(metrics, progress.step)))
                if not (last or stopped) and self.processes.any(self.stop_request.is_asked):
                    self.stop_request.happened = stopped = True
                is_due = is_due or progress.step % train.checkpoint_every == 0 or (is_point and clock.is_due())
                # The weights before a skipped step are those after it: the checkpoint waits for the next step that is not skipped.
                if last or stopped or (is_due and not progress.is_skipped):
                    is_due = False
                    with interval.paused():
                        self._count_skipped(interval, progress)
                        self._save(upload, progress, metrics if is_validated else {})
                        clock.restart()
                watchdog.step_ended()
        return metrics

    @property
    def _schedule(self) -> AccumulationSchedule:
        return self.config.schedule(self.processes.workers)

    def _step(self, micro_steps: MicroSteps, interval: Interval, progress: Progress) -> None:
        """Run one optimiser step."""
        forwards: list[Forward] = []
        interval.rates = self.engine.learning_rates()  # before the step advances the schedule
        own = micro_steps.of_step(progress.step)
        norm = None
        while (micro_step := interval.waiting_for(own)) is not None:
            micro = micro_step.micro
            # Dropout and patch masks depend on the micro-batch, not on its worker.
            torch.manual_seed(keyed_seed(self.config.train.seed, Purpose.MODEL, micro.number))
            output = self.engine.forward(interval.moved(micro.batch, self.engine.device))
            self.engine.backward(output.loss * micro_step.weight)
            norm = self.engine.step()
            if micro_step.weight:
                forwards.append(Forward(micro, output.loss.detach(), output.losses))
                interval.spend(micro.seconds)
                interval.skipped.extend(micro.batch.skipped)
                if self.flops_per_sample is not None:
                    interval.flops += len(micro.batch) * self.flops_per_sample(micro.batch.token_ids.shape[1])
        assert norm is not None, "the engine counts other micro-steps than the loop"
        progress.step += 1
        interval.steps += 1
        if self.ledger:
            self.ledger.add(progress.step, [forward.micro for forward in forwards])
        progress.is_skipped = not math.isfinite(norm)
        if not progress.is_skipped:
            interval.add(forwards, norm)
        else:
            self._skip(forwards, progress)

    def _report_start(self, step: int) -> None:
        if self.times is not None and self.processes.is_first:
            self.times.end_part("first step")
            self._tell(self.times.describe())
            self.tracker.metrics({"perf/start_seconds": self.times.total}, step)

    def _skip(self, forwards: list[Forward], progress: Progress) -> None:
        """Count a step that was skipped because its gradient is not finite; stop a run that had too many of them."""
        progress.skipped_steps += 1
        causes, allowed = name_causes(forwards, self.processes), self.config.train.maximum_skipped_steps
        if progress.skipped_steps > allowed:
            raise TrainingError(
                f"the gradient of step {progress.step} is not finite, from {causes}: lower train.optimiser.learning_rate, or look at "
                f"these samples; train.maximum_skipped_steps allows {allowed}"
            )
        self._tell(f"step {progress.step} is skipped: its gradient is not finite, from {causes}")

    def _report(self, interval: Interval, progress: Progress) -> None:
        """Add a point to every training curve, and stop a run with too many bad samples."""
        seconds = time.perf_counter() - interval.started
        self._count_skipped(interval, progress)
        sums, stages, usages = zip(*self.processes.gather(interval.figures(self.engine.device, seconds)), strict=True)
        metrics = self._means(sums, len(interval.norms) * self._schedule.micro_batches)
        samples = interval.steps * self.config.train.global_batch
        rates = interval.rates
        metrics |= {"train/lr": rates.get("encoders", next(iter(rates.values())))}
        metrics |= {f"train/lr_{role}": rate for role, rate in rates.items()}
        if interval.norms:
            metrics["train/grad_norm"] = interval.norms[-1]
        metrics |= {"train/skipped_samples": progress.skipped, "train/skipped_steps": progress.skipped_steps}
        metrics["perf/samples_per_second"] = samples / seconds
        spent = self._means(stages, len(stages))
        metrics["perf/data_stall_fraction"] = spent["data_wait"] / seconds
        metrics["perf/step_seconds"] = seconds / interval.steps
        metrics |= {f"perf/{name}_seconds": total / interval.steps for name, total in spent.items()}
        # A reason is a sentence, and MLflow allows no commas in names.
        metrics |= {f"train/skipped_samples_{re.sub(r'[^A-Za-z0-9]+', '_', why)}": float(n) for why, n in interval.reasons.items()}
        metrics |= usage_metrics(usages)
        if self.processes.is_first:
            metrics |= self._spike(metrics, progress.step) | self.more_metrics()
            self.tracker.metrics(metrics, progress.step)
            self._tell(self._progress_line(metrics, progress.step))
        self._check_bad_samples(progress)

    def _spike(self, metrics: dict[str, float], step: int) -> dict[str, float]:
        """Report a loss far above the recent ones."""
        above = self.spikes.look(metrics["train/loss"]) if "train/loss" in metrics else None
        if above is None:
            return {}
        self._tell(f"step {step}: the loss {metrics['train/loss']:.3f} is {above:.0f} typical deviations above the recent ones")
        return {"train/loss_spike": above}

    @staticmethod
    def _means(parts: Sequence[dict[str, float]], count: int) -> dict[str, float]:
        """Return the sums of the workers' values by name, divided by ``count``; any worker may have no values, or all of them."""
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: sum(part.get(name, 0.0) for part in parts) / count for name in names}

    def _count_skipped(self, interval: Interval, progress: Progress) -> None:
        """Count the samples that could not be decoded on any worker since the last call."""
        counts = Counter(skipped for part in self.processes.gather(interval.skipped) for skipped in part)
        interval.skipped = []
        for (shard, reason), count in sorted(counts.items()):
            progress.skipped += count
            interval.reasons[reason] += count
            self._tell(f"samples of shard {shard} that could not be decoded: {count} ({reason})")

    def _check_bad_samples(self, progress: Progress) -> None:
        seen = progress.step * self.config.train.global_batch
        allowed = self.config.data.bad_samples
        if progress.skipped > allowed * max(seen, SHARE_COUNTS_FROM):
            raise TrainingError(
                f"{progress.skipped} of {seen} samples could not be decoded, more than data.bad_samples {allowed:.2%} allows; "
                "make the shards again with jobs/prepare.py, which leaves such samples out, or raise it"
            )

    def _validate(self, step: int) -> dict[str, float]:
        metrics, pictures = self.validation.run(self.engine, self.processes)
        metrics = {f"val/{name}": value for name, value in metrics.items()}
        if self.processes.is_first:
            self._check_best_metric(metrics)
            self.tracker.metrics(metrics, step)
            for name, picture in pictures.items():
                self.tracker.picture(name, picture, step)
            self._tell(f"step {step}: " + ", ".join(f"{name.removeprefix('val/')} {value:.3f}" for name, value in sorted(metrics.items())))
        return metrics

    def _check_best_metric(self, metrics: dict[str, float]) -> None:
        best = self.config.train.best_metric
        if best is not None and best not in metrics:
            raise ConfigurationError(f"train.best_metric {best!r} is not a validation metric: choose one of {', '.join(sorted(metrics))}")

    def _save(self, upload: CheckpointUpload, progress: Progress, validation: dict[str, float]) -> None:
        facts = {
            "step": progress.step,
            "position": progress.step * self.config.train.global_batch,
            "skipped": progress.skipped,
            "skipped_steps": progress.skipped_steps,
            "ends_with_skipped_step": progress.is_skipped,
            "workers": self.processes.workers,
            **asdict(self.engine.layout),
            "fingerprints": self.fingerprints,
            "validation": validation,
        }
        if self.ledger:
            self.ledger.write()
        stall = upload.save(self.engine, facts)
        if self.processes.is_first:
            self.tracker.metrics({"perf/checkpoint_stall_seconds": stall}, progress.step)

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
        if self.processes.is_first:
            self.announce(text)
