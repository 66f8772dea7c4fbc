"""What a run reads belongs together, or is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError, DataError, KnowledgeError
from scaleout.train.config import PretrainConfig
from scaleout.train.inputs import Inputs, open_tokenizer, row_reader, tokenizer_fingerprint
from tests.scaleout.stream.toy_stream import toy_reader
from tests.scaleout.train.tiny_run import tiny_config


@pytest.fixture
def config(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> PretrainConfig:
    """A run that could be started."""
    return tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path / "runs")


def test_inputs_that_belong_together_are_opened(config: PretrainConfig) -> None:
    inputs = Inputs.open(config)
    assert set(inputs.fingerprints) == {"shards", "links", "knowledge", "tokenizer"}
    assert Inputs.open(config).fingerprints == inputs.fingerprints
    reader = row_reader(config, inputs, "train")
    assert (reader.plan.rows, reader.plan.seed) == (240, config.train.seed)
    assert row_reader(config, inputs, "validation").plan.rows == 60


def test_links_of_other_shards_are_refused(config: PretrainConfig, tmp_path: Path) -> None:
    other = toy_reader(tmp_path)
    with pytest.raises(DataError, match="were made of other shards"):
        Inputs.open(replace(config, data=replace(config.data, links=other.links)))


def test_knowledge_of_another_ontology_is_refused(config: PretrainConfig) -> None:
    inputs = Inputs.open(config)
    links = replace(inputs.links, ontology="another", ontology_fingerprint="0")
    with pytest.raises(KnowledgeError, match="name concepts of ontology 'another'"):
        replace(inputs, links=links)._check(config.data, config.knowledge)


@pytest.mark.parametrize(("name", "error"), [("shards", DataError), ("links", DataError)])
def test_missing_data_are_named(config: PretrainConfig, tmp_path: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"no complete {name} in {tmp_path}"):
        Inputs.open(replace(config, data=replace(config.data, **{name: str(tmp_path)})))


def test_missing_knowledge_is_named(config: PretrainConfig, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=f"no knowledge bundle in {tmp_path}"):
        Inputs.open(replace(config, knowledge=str(tmp_path)))


def test_a_missing_tokenizer_is_named(config: PretrainConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no tokenizer at"):
        Inputs.open(replace(config, data=replace(config.data, tokenizer=str(tmp_path))))


def test_a_copy_of_the_tokenizer_is_the_same(config: PretrainConfig, tmp_path: Path) -> None:
    own = open_tokenizer(config.data)
    own.save_pretrained(tmp_path)
    copy = open_tokenizer(replace(config.data, tokenizer=str(tmp_path)))
    assert tokenizer_fingerprint(copy) == tokenizer_fingerprint(own)
    copy.add_tokens(["zyx"])
    assert tokenizer_fingerprint(copy) != tokenizer_fingerprint(own)
