"""A whole split is evaluated, the same by any number of workers, on a disk and in a bucket."""

import io
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
import torch

from jobs.evaluate import evaluate
from medvlp.configuration import to_plain
from medvlp.corpora.phantom import PhantomQuestions, phantom_ontology_path
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from medvlp.tasks.vqa.task import QuestionAnswering
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.launch.export import export_run
from scaleout.links.link import link_shards
from scaleout.runs.config import DataConfig, RunConfig, ScaleConfig, TrackingConfig, TrainConfig
from scaleout.runs.inputs import Inputs
from scaleout.runs.record import RunRecord, create_run, run_folder
from scaleout.runs.start import find_targets
from scaleout.shards.prepare import prepare_shards
from scaleout.tracking import start_run
from scaleout.tracking.runs import open_client
from tests.jobs.tiny import Artefacts
from tests.scaleout.runs.test_start import MODEL, build, write_checkpoint

pytestmark = pytest.mark.ray

QUESTIONS = 45
"""Of the test split: six micro-batches of 8, the last of 5."""


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    """Shards and links of questions, with a test split."""
    folder = tmp_path_factory.mktemp("questions")
    shards, links = str(folder / "shards"), str(folder / "links")
    ontology = read_ontologies([phantom_ontology_path()])
    prepare_shards(PhantomQuestions(train=60, validation=20, test=QUESTIONS), shards, samples_per_shard=20, vocabulary_size=0, run=map)
    link_shards(shards, ontology, DictionaryLinker.build(ontology), links, run=map)
    return Artefacts(shards, links, "")


def begin(storage_uri: str, phantoms: Artefacts, questions: Artefacts, tracking: str) -> RunConfig:
    """A run of question answering with two checkpoints, of weights that nobody trained."""
    data = DataConfig(
        shards=questions.shards,
        links=questions.links,
        tokenizer=f"{phantoms.shards}/tokenizer",
        maximum_tokens=48,
        maximum_entities=8,
    )
    config = RunConfig(
        name="answers",
        storage=storage_uri,
        knowledge=phantoms.knowledge,
        data=data,
        train=TrainConfig(max_steps=9, micro_batch=8, best_metric="val/answer_accuracy"),
        task=QuestionAnswering(),
        model=MODEL,
        scale=ScaleConfig(threads=1),
        tracking=TrackingConfig(uri=tracking),
    )
    run = start_run(tracking, "medvlp", "answers")
    record = RunRecord(
        kind="vqa", config=to_plain(config), fingerprints=Inputs.open(config).fingerprints, mlflow_run=run, targets=find_targets(config)
    )
    create_run(run_folder(config), record)
    for step, seed in ((3, 1), (6, 2)):
        write_checkpoint(config, build(config, seed), step)
    return config


@pytest.fixture(scope="module")
def tracking(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An MLflow store."""
    return f"sqlite:///{tmp_path_factory.mktemp('tracking')}/mlflow.db"


@pytest.fixture(scope="module")
def config(
    ray_cluster: None, phantoms: Artefacts, questions: Artefacts, tracking: str, tmp_path_factory: pytest.TempPathFactory
) -> RunConfig:
    """The run, on a disk."""
    torch.set_num_threads(1)
    return begin(str(tmp_path_factory.mktemp("runs")), phantoms, questions, tracking)


def results(folder: str) -> tuple[pa.Table, dict]:
    table = pyarrow.parquet.read_table(io.BytesIO(storage.read_bytes(f"{folder}/samples.parquet")))
    return table, json.loads(storage.read_bytes(f"{folder}/metrics.json"))


def assert_the_same(found: tuple[pa.Table, dict], expected: tuple[pa.Table, dict]) -> None:
    """Predictions equal, floats within 1e-6."""
    for name in expected[0].column_names:
        column, wanted = found[0].column(name).to_pylist(), expected[0].column(name).to_pylist()
        assert column == (pytest.approx(wanted, rel=1e-6) if isinstance(wanted[0], float) else wanted), name
    assert found[1]["metrics"] == pytest.approx(expected[1]["metrics"], rel=1e-6)


def test_every_sample_once_by_any_number_of_workers_here_and_in_a_bucket(
    config: RunConfig, phantoms: Artefacts, questions: Artefacts, tracking: str, s3: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--run", "answers", "--storage", config.storage, "--split", "test"]
    alone = run_job(evaluate, [*options, "--workers", "1"])
    assert alone.folder == f"{config.storage}/answers/evaluations/test-step-00000006"
    expected = results(alone.folder)
    table, metrics = expected
    keys = table.column("key").to_pylist()
    assert len(set(keys)) == table.num_rows == metrics["samples"] == QUESTIONS
    answers = find_targets(config)["answers"]
    assert set(table.column("predicted").to_pylist()) <= set(answers)
    assert (metrics["run"], metrics["step"], metrics["split"]) == ("answers", 6, "test")
    assert "answers, accuracy" in capsys.readouterr().out
    for workers in ("2", "4"):
        assert_the_same(results(run_job(evaluate, [*options, "--workers", workers]).folder), expected)

    remote = begin(f"{s3}/evaluated", phantoms, questions, tracking)
    found = run_job(evaluate, ["--run", f"{remote.storage}/answers", "--split", "test", "--workers", "2"])
    assert found.folder.startswith("s3://")
    assert_the_same(results(found.folder), expected)


def test_metrics_and_their_file_are_in_mlflow(config: RunConfig, tracking: str) -> None:
    run_job(evaluate, ["--run", "answers", "--storage", config.storage, "--split", "validation", "--checkpoint", "3"])
    record = json.loads(Path(run_folder(config), "run.json").read_text())
    client = open_client(tracking)
    (point,) = client.get_metric_history(record["mlflow_run"], "validation/answer_accuracy")
    assert point.step == 3
    names = [file.path for file in client.list_artifacts(record["mlflow_run"], "evaluations/validation-step-00000003")]
    assert [Path(name).name for name in names] == ["metrics.json"]


def test_a_model_folder_gives_what_its_run_gives(config: RunConfig, questions: Artefacts, tmp_path: Path) -> None:
    export_run(run_folder(config), str(tmp_path / "model"))
    places = ["--shards", questions.shards, "--links", questions.links, "--output", str(tmp_path / "results")]
    options = ["--split", "test", "--micro_batch", "8", "--workers", "1"]
    of_model = run_job(evaluate, ["--model", str(tmp_path / "model"), *places, *options])
    of_run = run_job(evaluate, ["--run", "answers", "--storage", config.storage, *places, *options])
    assert_the_same(results(of_model.folder), results(of_run.folder))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--split", "tset"], "contain no sample of split 'tset'; splits with samples: train, validation, test"),
        (["--checkpoint", "7"], "no checkpoint '7' .* one of the steps 3, 6"),
        (["--checkpoint", "best"], "no checkpoint 'best'"),
        (["--shards", "x"], "give both --shards and --links"),
        (["--model", "x"], "either a run .* or a model folder"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(config: RunConfig, options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run_job(evaluate, ["--run", "answers", "--storage", config.storage, *options])
    error = capsys.readouterr().err
    assert len(error.strip().splitlines()) == 1
    assert re.search(said, error), error
