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


def test_a_batch_is_made_of_whole_micro_batches() -> None:
    with pytest.raises(ConfigurationError, match="global_batch 20 is not a multiple"):
        TrainConfig(max_steps=1, global_batch=20, micro_batch=8)


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


def test_the_minimum_of_workers_is_no_more_than_the_maximum() -> None:
    with pytest.raises(ConfigurationError, match=r"scale\.minimum_workers is 3: take 1 to scale\.workers 2"):
        ScaleConfig(workers=2, minimum_workers=3)


@pytest.mark.parametrize(
    ("precision", "uses_gpu", "expected"),
    [("auto", False, "fp32"), ("auto", True, "bf16"), ("fp32", True, "fp32"), ("bf16", False, "bf16")],
)
def test_precision_is_a_choice(precision: Any, uses_gpu: bool, expected: Any) -> None:
    assert ScaleConfig(precision=precision, zero_stage=3).layout(uses_gpu=uses_gpu) == Layout(3, expected)
