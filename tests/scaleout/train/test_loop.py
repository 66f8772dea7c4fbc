"""The loop, without Ray or DeepSpeed: resumed it is the unbroken run, and what cannot go on stops with a reason."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medvlp.data.collate import Collate
from medvlp.errors import ConfigurationError, TrainingError
from scaleout.checkpoint.record import read_record
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.train.interval import Interval
from tests.scaleout.train.tiny_run import TinyRun, spoilt_images, spoilt_loss, tiny_config


@pytest.fixture
def config(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> RunConfig:
    """A run in a folder of its own."""
    return tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)


def with_train(config: RunConfig, **changes: object) -> RunConfig:
    return replace(config, train=replace(config.train, **changes))


def learned(metrics: dict[int, dict[str, float]]) -> dict[int, dict[str, float]]:
    """What does not depend on the clock."""
    return {step: {name: value for name, value in values.items() if not name.startswith("perf/")} for step, values in metrics.items()}


def test_a_resumed_run_is_the_unbroken_one_to_the_last_bit(config: RunConfig, tmp_path: Path) -> None:
    unbroken = TinyRun(replace(config, storage=str(tmp_path / "unbroken")))
    last = unbroken.run()
    stopped = TinyRun(config)
    stopped.run(stop_at=3)
    assert stopped.progress.step == 3
    resumed = TinyRun(config)
    assert resumed.progress.step == 3
    assert resumed.run() == last
    assert learned(resumed.metrics()) == learned(unbroken.metrics())
    weights = unbroken.engine.weights()
    assert all(torch.equal(value, weights[name]) for name, value in resumed.engine.weights().items())


def test_the_names_of_metrics_are_the_interface(config: RunConfig) -> None:
    run = TinyRun(config)
    last = run.run()
    metrics = run.metrics()
    assert sorted(metrics) == [1, 2, 3, 4, 5, 6]
    losses = {f"{objective}_loss" for objective in ("mlm", "mim", "itm", "align")}
    assert {name for name in metrics[1] if not name.startswith("train/lr_")} == {
        *("train/loss", "train/lr", "train/grad_norm", "train/skipped_samples", "train/skipped_steps"),
        *("perf/samples_per_second", "perf/data_stall_fraction", "perf/peak_memory_gb"),
        *(f"perf/{stage}_seconds" for stage in ("step", "data_wait", "read_wait", "make", "transfer")),
        *(f"train/{loss}" for loss in losses),
    }
    assert {name for name in metrics[1] if name.startswith("train/lr_")} == {
        f"train/lr_{role}" for role in ("encoders", "knowledge", "fusion", "heads")
    }
    assert metrics[6]["train/lr"] > 0, "the rate that the last step used, not the next one's"
    validated = {name for name in metrics[3] if name.startswith("val/")}
    assert {name for name in validated if "modality_only" not in name} == {
        *(f"val/{loss}" for loss in losses),
        *("val/mlm_accuracy", "val/mlm_entity_accuracy", "val/mlm_entity_accuracy_shuffled_image", "val/itm_accuracy"),
        *(f"val/align_{side}_{figure}" for side in ("image", "text") for figure in ("auroc", "f1")),
    }
    assert validated == last.keys() == {name for name in metrics[6] if name.startswith("val/")}
    assert not any(name.startswith("val/") for step in (1, 2, 4, 5) for name in metrics[step])


def test_the_work_done_is_counted_at_the_width_of_every_micro_batch(config: RunConfig) -> None:
    run = TinyRun(with_train(config, max_steps=2))
    widths: list[int] = []

    def flops(width: int) -> float:
        widths.append(width)
        return 1e9

    replace(run.loop, flops_per_sample=flops).run(run.progress)
    batches = [micro.batch for micro in run.loop.stream][:4]
    assert widths == [batch.token_ids.shape[1] for batch in batches]


def test_work_is_told_by_the_second() -> None:
    interval = Interval(flops=6e12)
    sums, seconds, usage = interval.figures(torch.device("cpu"), seconds=3.0)
    assert (sums, seconds, usage.flops_per_second) == ({}, {}, 2e12)
    assert usage.peak_memory > 0


def test_it_learns(config: RunConfig) -> None:
    run = TinyRun(with_train(config, max_steps=30, log_every=10, validate_every=30, checkpoint_every=30))
    run.run()
    curve = [values["train/loss"] for _, values in sorted(run.metrics().items())]
    assert curve[-1] < 0.9 * curve[0]


def test_pictures_are_kept_of_a_public_corpus_only(config: RunConfig, tmp_path: Path) -> None:
    short = with_train(config, max_steps=1)
    TinyRun(short).run()
    names = {path.parent.name for path in (tmp_path / "tiny" / "pictures").rglob("*.png")}
    assert names == {"entity_attention", "reconstruction"}
    private = replace(short, name="private", tracking=replace(short.tracking, pictures=False))
    TinyRun(private).run()
    assert not (tmp_path / "private" / "pictures").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_stops_and_names_the_micro_batch(config: RunConfig, value: float) -> None:
    # The first of the two micro-batches of the third step.
    run = TinyRun(with_train(config, maximum_skipped_steps=0), spoilt_loss(4, value))
    with pytest.raises(TrainingError, match=r"step 3 is not finite, from micro-batch 4 \(samples 0[0-9, ]+\): lower") as caught:
        run.run()
    assert "micro-batch 5" not in str(caught.value)
    assert run.store.newest() is None


def test_a_step_whose_gradient_is_not_finite_is_skipped_told_and_counted(config: RunConfig) -> None:
    whole = TinyRun(config, spoilt_loss(4, float("nan")))
    whole.run(stop_at=3)
    assert [line for line in whole.lines if "skipped" in line] == [
        line for line in whole.lines if line.startswith("step 3 is skipped: its gradient is not finite, from micro-batch 4 (samples 0")
    ]
    before = TinyRun(with_train(replace(config, name="before"), validate_every=2, checkpoint_every=2))
    before.run(stop_at=2)
    weights = before.engine.weights()
    assert all(torch.equal(value, weights[name]) for name, value in whole.engine.weights().items())
    metrics = whole.metrics()
    assert [metrics[step]["train/skipped_steps"] for step in (1, 2, 3)] == [0, 0, 1]
    assert "train/loss" not in metrics[3]
    assert "train/grad_norm" not in metrics[3]
    # The count is the run's, not the process's; the learning rate is that of the step.
    resumed = TinyRun(with_train(config, maximum_skipped_steps=1), spoilt_loss(8, float("nan")))
    assert resumed.progress.skipped_steps == 1
    unspoilt = TinyRun(replace(config, name="unspoilt"))
    unspoilt.run()
    with pytest.raises(TrainingError, match=r"step 5 is not finite.* train\.maximum_skipped_steps allows 1"):
        resumed.run()
    assert resumed.metrics()[4]["train/lr"] == unspoilt.metrics()[4]["train/lr"]


def test_checkpoints_of_skipped_steps_do_not_displace_those_before_them(config: RunConfig) -> None:
    nan = float("nan")
    every = with_train(config, max_steps=6, checkpoint_every=1, keep_checkpoints=2)

    def spoilt_from_the_fourth_step(collate: Collate) -> Collate:
        for number in range(6, 12):
            collate = spoilt_loss(number, nan)(collate)
        return collate

    run = TinyRun(every, spoilt_from_the_fourth_step)
    run.run()
    assert run.progress.skipped_steps == 3
    assert storage.list_names(run.store.uri) == ["step-00000002", "step-00000003", "step-00000006"], "the last step always has one"
    assert run.store.newest()[1].ends_with_skipped_step


def test_a_checkpoint_that_is_due_at_a_skipped_step_follows_the_next_good_one(config: RunConfig) -> None:
    run = TinyRun(with_train(config, checkpoint_every=3), spoilt_loss(4, float("nan")))
    run.run()
    assert storage.list_names(run.store.uri) == ["step-00000004", "step-00000006"]


def test_a_skipped_step_counts_in_no_mean(config: RunConfig) -> None:
    every = TinyRun(with_train(config, max_steps=3), spoilt_loss(2, float("nan")))
    every.run()
    together = TinyRun(with_train(replace(config, name="together"), max_steps=3, log_every=3), spoilt_loss(2, float("nan")))
    together.run()
    losses = [every.metrics()[step]["train/loss"] for step in (1, 3)]
    assert together.metrics()[3]["train/loss"] == pytest.approx(sum(losses) / 2)


def test_a_gradient_that_explodes_from_finite_losses_names_the_whole_step(config: RunConfig) -> None:
    run = TinyRun(with_train(config, maximum_skipped_steps=0))
    with torch.no_grad():
        run.engine.task.get_parameter("arl.image_projection.bias").fill_(0)
    run.engine.task.get_parameter("arl.image_projection.bias").register_hook(lambda gradient: gradient * float("inf"))
    with pytest.raises(TrainingError, match=r"from micro-batch 0 \(.*\); micro-batch 1 \("):
        run.run()


def test_a_loss_that_jumps_is_told_and_changes_nothing(config: RunConfig) -> None:
    run = TinyRun(with_train(config, max_steps=2))
    for _ in range(10):
        run.loop.spikes.look(0.01)
    run.run()
    told = [line for line in run.lines if "typical deviations above the recent ones" in line]
    assert told[0].startswith("step 1: the loss ")
    assert run.metrics()[1]["train/loss_spike"] > 8
    assert run.progress.step == 2


def test_too_many_bad_samples_stop_the_run(config: RunConfig) -> None:
    few = replace(config, data=replace(config.data, bad_samples=0.01))
    run = TinyRun(few, spoilt_images(set(range(16, 27))))
    with pytest.raises(TrainingError, match=r"11 of 32 samples could not be decoded, more than data\.bad_samples 1\.00% allows"):
        run.run()
    assert sum("could not be decoded" in line for line in run.lines) >= 1
    enough = replace(config, name="enough", data=replace(config.data, bad_samples=0.02))
    assert TinyRun(enough, spoilt_images(set(range(16, 27)))).run()


def test_bad_samples_are_told_by_shard_and_reason(config: RunConfig) -> None:
    run = TinyRun(with_train(config, max_steps=1), spoilt_images({1, 2, 3}))
    run.run()
    told = [line for line in run.lines if "could not be decoded" in line]
    assert all(line.startswith("samples of shard train-") and line.endswith("(image does not decode)") for line in told)
    assert sum(int(line.split(": ")[1].split()[0]) for line in told) == 3
    assert run.metrics()[1]["train/skipped_samples_image_does_not_decode"] == 3


def test_no_sample_is_forgotten_between_reports(config: RunConfig) -> None:
    # Validations and checkpoints fall between the points of the curves.
    odd = with_train(config, log_every=4, validate_every=3, checkpoint_every=3)
    run = TinyRun(odd, spoilt_images(set(range(0, 96, 16))))
    run.run(stop_at=3)
    _, record = run.store.newest()
    assert (record.step, record.position, record.skipped) == (3, 48, 3)
    resumed = TinyRun(odd, spoilt_images(set(range(0, 96, 16))))
    resumed.run()
    assert resumed.metrics()[6]["train/skipped_samples"] == 6


def test_points_are_means_over_all_steps_since_the_last(config: RunConfig, tmp_path: Path) -> None:
    every = TinyRun(config)
    every.run()
    odd = TinyRun(with_train(replace(config, name="odd"), log_every=4, validate_every=3, checkpoint_every=3))
    odd.run()
    losses = [every.metrics()[step]["train/loss"] for step in range(1, 7)]
    assert odd.metrics()[4]["train/loss"] == pytest.approx(sum(losses[:4]) / 4)
    assert odd.metrics()[6]["train/loss"] == pytest.approx(sum(losses[4:]) / 2)


def test_the_clock_of_a_window_stops_while_it_is_paused() -> None:
    interval = Interval()
    before = time.perf_counter() - interval.started
    with interval.paused():
        time.sleep(0.2)
    assert time.perf_counter() - interval.started - before < 0.1


def test_a_stream_that_ends_early_is_a_defect(config: RunConfig) -> None:
    run = TinyRun(config)
    short = replace(run.loop.stream, tables=lambda: iter(list(run.loop.stream.tables())[:3]))
    with pytest.raises(TrainingError, match="stream ended before the last step"):
        replace(run.loop, stream=short).run(run.progress)


def test_checkpoints_are_made_by_time_too(config: RunConfig) -> None:
    rare = with_train(config, max_steps=5, log_every=2, validate_every=100, checkpoint_every=100, checkpoint_minutes=1e-9)
    run = TinyRun(rare)
    run.run()
    assert [step for step, values in sorted(run.metrics().items()) if "perf/checkpoint_stall_seconds" in values] == [2, 4, 5]
    seldom = TinyRun(with_train(replace(rare, name="seldom"), checkpoint_minutes=60.0))
    seldom.run()
    assert [step for step, values in seldom.metrics().items() if "perf/checkpoint_stall_seconds" in values] == [5]


def test_a_checkpoint_knows_the_validation_of_its_step(config: RunConfig) -> None:
    run = TinyRun(with_train(config, max_steps=4, validate_every=3, checkpoint_every=2, best_metric="val/itm_accuracy"))
    last = run.run()
    assert run.store.newest()[1].validation == last
    assert read_record(storage.join(run.store.uri, "step-00000002")).validation == {}


def test_a_best_metric_that_validation_does_not_give_is_refused_at_the_first(config: RunConfig) -> None:
    run = TinyRun(with_train(config, best_metric="val/accuracy"))
    with pytest.raises(ConfigurationError, match=r"'val/accuracy' is not a validation metric: choose one of val/.*val/itm_accuracy"):
        run.run()


def test_a_finished_run_does_nothing(config: RunConfig) -> None:
    TinyRun(with_train(config, max_steps=1)).run()
    again = TinyRun(with_train(config, max_steps=1))
    assert again.run() == {}
    assert again.lines == []


def test_the_first_worker_tells_when_it_will_end(config: RunConfig) -> None:
    run = TinyRun(with_train(config, max_steps=2))
    run.run()
    assert run.lines[0].startswith("step 1/2: loss ")
    assert "training ends about" in run.lines[0]


def test_a_run_that_is_told_to_stop_makes_a_checkpoint_behind_its_step_and_loses_none(config: RunConfig) -> None:
    whole = TinyRun(replace(config, name="whole"))
    whole.run()
    stopped = TinyRun(config)

    def tell(text: str) -> None:
        if stopped.progress.step == 2:
            stopped.loop.stop_request.ask()

    replace(stopped.loop, announce=tell).run(stopped.progress)
    assert stopped.loop.stop_request.happened
    assert stopped.progress.step == 2
    resumed = TinyRun(config)
    assert resumed.progress.step == 2
    resumed.run()
    assert not resumed.loop.stop_request.happened
    assert learned(resumed.metrics()) == learned(whole.metrics())


def test_being_told_to_stop_in_the_last_step_changes_nothing(config: RunConfig) -> None:
    run = TinyRun(with_train(config, max_steps=1))
    run.loop.stop_request.ask()
    assert run.run()
    assert not run.loop.stop_request.happened


def test_a_judge_that_ends_a_run_is_obeyed_before_an_interruption(config: RunConfig) -> None:
    run = TinyRun(with_train(config, validate_every=1))
    run.loop.stop_request.ask()
    run.run(stop_at=1)
    assert run.progress.step == 1
    assert not run.loop.stop_request.happened
