"""Settings that cannot work are refused before anything is read."""

from typing import Any

import pytest

from medvlp.errors import ConfigurationError
from medvlp.model.config import ARLConfig, LanguageConfig
from medvlp.tasks.pretrain.config import MaskedImageConfig
from medvlp.tasks.pretrain.task import Pretraining
from scaleout.engine.layout import Layout
from scaleout.runs.config import DataConfig, RunConfig, ScaleConfig, TrainConfig


def config(**changes: Any) -> RunConfig:
    settings = {
        "name": "run",
        "storage": "/runs",
        "knowledge": "/k",
        "data": DataConfig(shards="/s", links="/l"),
        "train": TrainConfig(max_steps=1, global_batch=48, micro_batch=8),
    }
    return RunConfig(**{**settings, **changes})


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 6, 9])
def test_any_number_of_workers_shares_the_micro_batches_of_a_step(workers: int) -> None:
    assert config(scale=ScaleConfig(workers=workers)).schedule(workers).micro_batches == 6


@pytest.mark.parametrize(
    "name",
    [
        "max_steps",
        "global_batch",
        "micro_batch",
        "log_every",
        "validate_every",
        "validation_samples",
        "checkpoint_every",
        "keep_checkpoints",
    ],
)
def test_counts_are_at_least_one(name: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"train\.{name} is 0: take at least 1"):
        TrainConfig(**{"max_steps": 1, name: 0})


def test_a_batch_is_made_of_whole_micro_batches() -> None:
    with pytest.raises(ConfigurationError, match="global_batch 20 is not a multiple"):
        TrainConfig(max_steps=1, global_batch=20, micro_batch=8)


@pytest.mark.parametrize("scale", [{"workers": 0}, {"zero_stage": 4}, {"zero_stage": -1}])
def test_scale_has_limits(scale: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="scale: workers"):
        ScaleConfig(**scale)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "a:b", "a\\b", ".", "..", "a\0"])
def test_a_name_is_a_folder(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot name a folder"):
        config(name=name)


def test_reconstruction_reads_a_layer_that_exists() -> None:
    with pytest.raises(ConfigurationError, match=r"masked_image\.layer 7 is above the 6"):
        config(task=Pretraining(masked_image=MaskedImageConfig(layer=7)))


@pytest.mark.parametrize(("architecture", "capacity"), [("roberta", 62), ("bert", 64)])
def test_texts_fit_the_position_table(architecture: str, capacity: int) -> None:
    def with_tokens(tokens: int) -> RunConfig:
        language = LanguageConfig(architecture=architecture, positions=64)
        return config(model=ARLConfig(language=language), data=DataConfig(shards="/s", links="/l", maximum_tokens=tokens))

    assert with_tokens(capacity).data.maximum_tokens == capacity
    with pytest.raises(ConfigurationError, match=rf"maximum_tokens {capacity + 1} is more than the {capacity} tokens"):
        with_tokens(capacity + 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"workers": 2, "minimum_workers": 3}, "scale.minimum_workers is 3: take 1 to scale.workers 2"),
        ({"minimum_workers": 0}, "scale.minimum_workers is 0"),
        ({"collective_timeout_minutes": 0}, "scale.collective_timeout_minutes is 0: take more than 0"),
        ({"resize_minutes": -1}, "scale.resize_minutes is -1: take more than 0"),
    ],
)
def test_impossible_ranges_and_times_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        ScaleConfig(**settings)


@pytest.mark.parametrize(
    ("precision", "uses_gpu", "expected"),
    [("auto", False, "fp32"), ("auto", True, "bf16"), ("fp32", True, "fp32"), ("bf16", False, "bf16")],
)
def test_precision_is_a_choice(precision: Any, uses_gpu: bool, expected: Any) -> None:
    assert ScaleConfig(precision=precision, zero_stage=3).layout(uses_gpu=uses_gpu) == Layout(3, expected)
