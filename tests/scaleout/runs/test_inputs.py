"""What a run reads belongs together, or is refused."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.corpora.phantom import PhantomCorpus, phantom_ontology_path
from medvlp.data.tokenizer import tokenizer_fingerprint
from medvlp.errors import ConfigurationError, DataError, KnowledgeError
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from medvlp.tasks.pretrain.task import Pretraining
from scaleout.links.link import link_shards
from scaleout.runs.config import CorpusConfig, RunConfig
from scaleout.runs.inputs import Inputs, evaluation_split, open_tokenizer, training_split
from scaleout.shards.prepare import prepare_shards
from scaleout.stream.rows import stream_rows
from scaleout.workers.preflight import check_run
from tests.scaleout.stream.toy_stream import toy_split
from tests.scaleout.train.tiny_run import tiny_config


@pytest.fixture
def config(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> RunConfig:
    """A run that could be started."""
    return tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path / "runs")


def test_inputs_that_belong_together_are_opened(config: RunConfig) -> None:
    inputs = Inputs.open(config)
    assert set(inputs.fingerprints) == {"shards", "links", "knowledge", "tokenizer"}
    assert Inputs.open(config).fingerprints == inputs.fingerprints
    training = training_split(config, inputs.corpora, inputs.bundle)
    assert (training.plan.rows, training.plan.seed) == (240, config.train.seed)
    assert evaluation_split(config, inputs, "validation").plan.rows == 60


def test_rows_bring_attributes_to_a_task_that_asks(config: RunConfig) -> None:
    class Asking(Pretraining):
        uses_attributes = True

    inputs = Inputs.open(config)
    for task, expected in ((Pretraining(), set()), (Asking(), {"modality", "findings"})):
        asked = replace(config, task=task)
        for split in (training_split(asked, inputs.corpora, inputs.bundle), evaluation_split(asked, inputs, "validation")):
            rows = [row for table in split.tables(0, 5) for row in stream_rows(table)]
            assert all(set(row.attributes) == expected for row in rows)
            assert all(row.group and row.labels for row in rows)


def test_links_of_other_shards_are_refused(config: RunConfig, tmp_path: Path) -> None:
    toy_split(tmp_path)
    with pytest.raises(DataError, match="were made from other shards"):
        Inputs.open(replace(config, data=replace(config.data, links=str(tmp_path / "links"))))


def test_knowledge_of_another_ontology_is_refused(config: RunConfig) -> None:
    inputs = Inputs.open(config)
    other = replace(inputs.corpora[0], links=replace(inputs.links, ontology="another", ontology_fingerprint="0"))
    with pytest.raises(KnowledgeError, match="name concepts of ontology 'another'"):
        inputs._check(other, config.knowledge)


def test_a_mixture_is_trained_on_and_its_first_corpus_is_validated(config: RunConfig, tmp_path: Path) -> None:
    shards, links = str(tmp_path / "shards"), str(tmp_path / "links")
    prepare_shards(PhantomCorpus(seed=7, train=80, validation=20, test=0), shards, samples_per_shard=20, vocabulary_size=0, run=map)
    ontology = read_ontologies([phantom_ontology_path()])
    link_shards(shards, ontology, DictionaryLinker.build(ontology), links, run=map)
    mixed = replace(config, data=replace(config.data, mixed_with=[CorpusConfig(shards=shards, links=links, weight=0.5)]))
    inputs = Inputs.open(mixed)
    rows = [row for table in training_split(mixed, inputs.corpora, inputs.bundle).tables(0, 300) for row in stream_rows(table)]
    of_corpus = Counter(row.shard.split("/")[0] for row in rows)
    assert [row.position for row in rows] == list(range(300))
    assert of_corpus["1-phantom"] + of_corpus["2-phantom"] == 300
    assert of_corpus["2-phantom"] == pytest.approx(100, abs=60), "half the weight, though it has a third of the shards"
    assert evaluation_split(mixed, inputs, "validation").plan.rows == 60
    alone = Inputs.open(config).fingerprints
    assert inputs.fingerprints.items() >= alone.items()
    assert inputs.fingerprints["mixed_with"].endswith(" 0.5")
    check_run(mixed, inputs, {"CPU": 4.0})
    for file in (Path(links, "train-00000.parquet"), Path(shards, "train-00000.tar")):
        file.unlink()
        with pytest.raises(DataError, match=file.name):
            check_run(mixed, inputs, {"CPU": 4.0})


@pytest.mark.parametrize(("name", "error"), [("shards", DataError), ("links", DataError)])
def test_missing_data_are_named(config: RunConfig, tmp_path: Path, name: str, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"no complete {name} in {tmp_path}"):
        Inputs.open(replace(config, data=replace(config.data, **{name: str(tmp_path)})))


def test_missing_knowledge_is_named(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=f"no knowledge bundle in {tmp_path}"):
        Inputs.open(replace(config, knowledge=str(tmp_path)))


def test_a_missing_tokenizer_is_named(config: RunConfig, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no tokenizer at"):
        Inputs.open(replace(config, data=replace(config.data, tokenizer=str(tmp_path))))


def test_a_copy_of_the_tokenizer_is_the_same(config: RunConfig, tmp_path: Path) -> None:
    own = open_tokenizer(config.data)
    own.save_pretrained(tmp_path)
    copy = open_tokenizer(replace(config.data, tokenizer=str(tmp_path)))
    assert tokenizer_fingerprint(copy) == tokenizer_fingerprint(own)
    copy.add_tokens(["zyx"])
    assert tokenizer_fingerprint(copy) != tokenizer_fingerprint(own)
