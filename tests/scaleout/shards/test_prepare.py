"""Preparing shards again: after a kill only what is missing, after success nothing, other input never mixed in."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from medvlp.data.tokenizer import load_tokenizer
from medvlp.errors import ConfigurationError, DataError
from scaleout.io.resumable import Record
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.prepare import prepare_shards
from tests.conftest import REPOSITORY
from tests.scaleout.shards.test_shards import content_of
from tests.scaleout.shards.toy import ToyCorpus

OPTIONS = {"samples_per_shard": 5, "vocabulary_size": 300}


class Counting:
    """Runs tasks in this process, and remembers which."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, function: Callable[[str], Record], names: Sequence[str]) -> Iterable[Record]:
        self.names += names
        return map(function, names)


SLOW_RUN = """
import sys, time
from scaleout.shards.prepare import prepare_shards
from tests.scaleout.shards.toy import ToyCorpus

def slowly(function, names):
    for name in names:
        yield function(name)
        time.sleep(0.3)

prepare_shards(ToyCorpus(), sys.argv[1], samples_per_shard=5, vocabulary_size=300, run=slowly)
"""


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    output = tmp_path / "killed"
    environment = {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'platform'}"}
    process = subprocess.Popen([sys.executable, "-c", SLOW_RUN, str(output)], env=environment, cwd=REPOSITORY)
    deadline = time.monotonic() + 60
    while len(list((output / "records").glob("train-*.json"))) < 2:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    with pytest.raises(DataError, match="no complete shards"):
        ShardManifest.load(str(output))
    run = Counting()
    manifest = prepare_shards(ToyCorpus(), str(output), run=run, **OPTIONS)
    assert 0 < len(run.names) < len(manifest.shards)
    assert prepare_shards(ToyCorpus(), str(tmp_path / "whole"), run=map, **OPTIONS) == manifest
    assert content_of(output) == content_of(tmp_path / "whole")


def test_finished_shards_are_left_alone(tmp_path: Path) -> None:
    manifest = prepare_shards(ToyCorpus(), str(tmp_path / "shards"), run=map, **OPTIONS)
    run = Counting()
    assert prepare_shards(ToyCorpus(), str(tmp_path / "shards"), run=run, **OPTIONS) == manifest
    assert run.names == []


def test_other_input_is_refused_unless_it_may_overwrite(tmp_path: Path) -> None:
    output = str(tmp_path / "shards")
    prepare_shards(ToyCorpus(), output, run=map, **OPTIONS)
    with pytest.raises(ConfigurationError, match=r"items: .*'train': 25.*'train': 5.*--overwrite"):
        prepare_shards(ToyCorpus(train=5), output, run=map, **OPTIONS)
    with pytest.raises(ConfigurationError, match="source: found toy, requested changed"):
        prepare_shards(ToyCorpus(fingerprint="changed"), output, run=map, **OPTIONS)
    with pytest.raises(ConfigurationError, match=r"options: found \{\}, requested \{'seed': 1\}"):
        prepare_shards(ToyCorpus(), output, run=map, options={"seed": 1}, **OPTIONS)
    assert prepare_shards(ToyCorpus(train=5), output, run=map, overwrite=True, **OPTIONS).splits == {"train": 5, "validation": 10}


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigurationError, match="not empty and was not made by this job"):
        prepare_shards(ToyCorpus(), str(tmp_path), run=map, overwrite=True, **OPTIONS)
    assert content_of(tmp_path) == {"thesis.txt": b"mine"}


def test_an_empty_corpus_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'toy' has no items; is --root the right folder"):
        prepare_shards(ToyCorpus(train=0, validation=0), str(tmp_path), run=map, **OPTIONS)


def test_images_that_do_not_decode_are_bad_rows_as_missing_ones_are(tmp_path: Path) -> None:
    broken = ToyCorpus(broken=frozenset(range(3)), maximum_missing=0.1)
    with pytest.raises(DataError, match=r"6 of the 35 rows .*: 6 × image does not decode.*--overwrite.*The first: train 0: image does"):
        prepare_shards(broken, str(tmp_path / "many"), run=map, **OPTIONS)
    few = ToyCorpus(broken=frozenset([7]), rejected=1, maximum_missing=0.1)
    assert prepare_shards(few, str(tmp_path / "few"), run=map, **OPTIONS).splits == {"train": 24, "validation": 9}
    with pytest.raises(DataError, match=r"4 of the 37 rows .*: 2 × row does not match its schema; 2 × image does not decode"):
        prepare_shards(ToyCorpus(broken=frozenset([7]), rejected=2, maximum_missing=0.1), str(tmp_path / "sum"), run=map, **OPTIONS)


def test_a_mistake_in_the_code_is_no_image_that_does_not_decode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def planted(image: object) -> None:
        raise TypeError("planted")

    monkeypatch.setattr("scaleout.shards.writer.perceptual_hash", planted)
    with pytest.raises(TypeError, match="planted"):
        prepare_shards(ToyCorpus(), str(tmp_path), run=map, **OPTIONS)


def test_a_corpus_without_training_samples_is_an_error_unless_it_has_no_such_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no sample of corpus 'toy' is left for training: 25 × no text of at least 3 words"):
        prepare_shards(ToyCorpus(short=frozenset(range(25)), validation=30), str(tmp_path / "none"), run=map, **OPTIONS)
    manifest = prepare_shards(ToyCorpus(train=0), str(tmp_path / "test"), run=map, **OPTIONS)
    assert manifest.splits == {"validation": 10}
    assert not (tmp_path / "test" / "tokenizer").exists()


class OddSplit(ToyCorpus):
    """A corpus that calls a split by a path."""

    def splits(self) -> dict[str, int]:
        return {"train": 5, "../../evil": 5}


def test_a_split_that_is_a_path_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a corpus has the split '\.\./\.\./evil'"):
        prepare_shards(OddSplit(), str(tmp_path / "a" / "b" / "shards"), run=map, **OPTIONS)
    assert not list(tmp_path.iterdir())


class MissingFile(ToyCorpus):
    """A corpus that lacks a file."""

    def sample(self, split: str, index: int) -> object:
        raise DataError("images/7.jpg is missing; is the download complete?")


@pytest.mark.ray
def test_an_error_in_a_ray_task_arrives_as_itself(tmp_path: Path, ray_cluster: None) -> None:
    with pytest.raises(DataError, match=r"^(train|validation)-0000\d\.tar: images/7\.jpg is missing"):
        prepare_shards(MissingFile(), str(tmp_path), **OPTIONS)


@pytest.mark.ray
def test_ray_makes_the_same_bytes(tmp_path: Path, ray_cluster: None) -> None:
    manifest = prepare_shards(ToyCorpus(), str(tmp_path / "ray"), **OPTIONS)
    assert prepare_shards(ToyCorpus(), str(tmp_path / "here"), run=map, **OPTIONS) == manifest
    assert content_of(tmp_path / "ray") == content_of(tmp_path / "here")


def test_the_tokenizer_lies_beside_the_shards(tmp_path: Path) -> None:
    prepare_shards(ToyCorpus(), str(tmp_path / "shards"), run=map, **OPTIONS)
    tokenizer = load_tokenizer(tmp_path / "shards" / "tokenizer")
    encoded = tokenizer("effusion left effusion", return_offsets_mapping=True)
    assert encoded["offset_mapping"][0] == (0, 0)
    assert encoded["input_ids"][1] == encoded["input_ids"][-2]  # the first word is like any other
    assert tokenizer.decode(tokenizer("naïve ☃").input_ids, skip_special_tokens=True).strip() == "naïve ☃"
    assert tokenizer.convert_tokens_to_ids(["<s>", "<pad>", "</s>", "<unk>", "<mask>"]) == [0, 1, 2, 3, 4]
