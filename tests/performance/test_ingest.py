"""The benchmark of the stream on a few phantoms: both sides make the same rows, and its figures have their names."""

import json
import os
from itertools import islice
from pathlib import Path

import pytest
import webdataset

from medvlp.data.batch import PretrainBatch
from performance.ingest import time_stages
from performance.ingest_peer import joined, webdataset_batches
from performance.ingest_runs import run_peer, run_stream, time_run
from performance.ingest_source import Source, prepare
from scaleout.stream.rows import stream_rows

SAMPLES = 48


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """Four shards of twelve small phantoms."""
    folder = tmp_path_factory.mktemp("ingest")
    return prepare(folder, samples=SAMPLES, samples_per_shard=12, size=64, image_size=32, micro_batch=8, cores=2)


def test_both_sides_make_the_same_rows(source: Source) -> None:
    shards = sorted(str(path) for path in Path(source.shards).glob("*.tar"))
    theirs = {row.key: row for row in joined(webdataset.WebDataset(shards, shardshuffle=False), source)}
    ours = {}
    for table in source.split().tables(0, 10 * SAMPLES):  # some epochs, so that captions meet
        ours.update({(row.key, row.text): row for row in stream_rows(table)})
    assert theirs.keys() == {key for key, _ in ours}
    met = [(row, ours[row.key, row.text]) for row in theirs.values() if (row.key, row.text) in ours]
    assert len(met) > SAMPLES / 2
    for their, our in met:
        assert (their.spans, their.image_entities) == (our.spans, our.image_entities)
        assert (their.image, their.modality, their.answer) == (our.image, our.modality, our.answer)


@pytest.mark.parametrize("workers", [0, 1])
def test_the_peer_s_batches_have_no_end(source: Source, workers: int) -> None:
    batches = list(islice(webdataset_batches(source, workers), 2 * SAMPLES // source.micro_batch))
    assert all(isinstance(batch, PretrainBatch) for batch in batches)
    assert {batch.images.shape for batch in batches} == {(8, 3, 32, 32)}


def test_a_run_is_timed_after_its_warm_up() -> None:
    class Batches:
        taken = 0

        def __iter__(self) -> "Batches":
            return self

        def __next__(self) -> range:
            self.taken += 1
            return range(4)

    batches = Batches()
    figures = time_run(lambda: batches, 10, 6, os.getpid())  # type: ignore[arg-type,return-value]
    assert batches.taken == 1 + 2 + 3
    assert figures.keys() == {"samples_per_second", "cpu_seconds", "start_seconds"}


def test_stages(source: Source) -> None:
    stages = time_stages(source)
    assert list(stages) == ["read", "links", "join", "rows", "decode", "tokenise", "mask and collate"]
    assert stages["decode"] > 0
    assert json.loads(json.dumps(stages)) == stages


def test_a_run_of_the_peer(source: Source) -> None:
    assert run_peer(source, 16, 8, workers=0)["samples_per_second"] > 0


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_run_of_the_stream(source: Source) -> None:
    figures = run_stream(source, 64, 16)
    assert figures["samples_per_second"] > 0
    assert figures["start_seconds"] > 0
