"""Every recipe is a configuration that its job takes."""

import pytest

from scaleout.cli import parse
from scaleout.runs.config import FinetuneConfig, RunConfig
from scaleout.studies.sweep.config import SweepConfig
from tests.conftest import REPOSITORY

RECIPES = REPOSITORY / "jobs" / "recipes"
PLACES = ["--name", "run", "--storage", "s3://bucket/runs", "--data.shards", "s3://bucket/shards", "--data.links", "s3://bucket/links"]
KNOWLEDGE, STARTED = ["--knowledge", "s3://bucket/knowledge"], ["--start_from", "s3://bucket/runs/pretrained"]
TAKEN = {
    ("quickstart",): (RunConfig, KNOWLEDGE),
    ("laptop",): (RunConfig, KNOWLEDGE),
    ("arl",): (RunConfig, KNOWLEDGE),
    ("arl", "arl-reference"): (RunConfig, KNOWLEDGE),
    ("quickstart", "sweep"): (SweepConfig, KNOWLEDGE),
    ("laptop", "sweep"): (SweepConfig, KNOWLEDGE),
    ("arl", "sweep"): (SweepConfig, KNOWLEDGE),
    ("finetune-quickstart",): (FinetuneConfig, STARTED),
    ("finetune-arl",): (FinetuneConfig, STARTED),
}


@pytest.mark.parametrize("names", TAKEN, ids="+".join)
def test_a_recipe_is_taken(names: tuple[str, ...]) -> None:
    configuration, options = TAKEN[names]
    files = [option for name in names for option in ("--config", str(RECIPES / f"{name}.yaml"))]
    parse(configuration, [*files, *PLACES, *options])


def test_no_recipe_is_forgotten() -> None:
    assert {path.stem for path in RECIPES.glob("*.yaml")} == {name for names in TAKEN for name in names}


def test_the_reference_has_the_quirks_and_the_papers_sizes() -> None:
    files = ["--config", str(RECIPES / "arl.yaml"), "--config", str(RECIPES / "arl-reference.yaml")]
    config = parse(RunConfig, [*files, *PLACES, *KNOWLEDGE])
    assert config.data.masking.budget == "maximum"
    assert config.data.negatives == "corpus"
    assert config.data.label_negated
    assert config.model.fusion.last_layer_knowledge
    assert config.model.fusion.layers == 6
    assert config.train.optimiser.decayed == "authors"
    assert (config.train.optimiser.learning_rate, config.train.global_batch) == (1e-5, 256)


def test_every_entity_counts_as_a_finding_where_the_ontology_is_not_known() -> None:
    for name, (configuration, options) in ((names[0], taken) for names, taken in TAKEN.items() if len(names) == 1):
        config = parse(configuration, ["--config", str(RECIPES / f"{name}.yaml"), *PLACES, *options])
        assert config.train.findings == (["finding"] if name == "quickstart" else [])
