"""The whole way on real captions and images with a UMLS-keyed graph, from files to a tracked run."""

import io
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from jobs.knowledge import knowledge
from jobs.link import link
from jobs.prepare import prepare
from jobs.pretrain import pretrain
from medvlp.knowledge.bundle import KnowledgeBundle
from scaleout.cli import parse, run_job
from scaleout.runs.config import RunConfig
from scaleout.shards.manifest import ShardManifest
from scaleout.tracking.runs import open_client
from tests.jobs.test_pretrain import INTERFACE
from tests.jobs.tiny import Artefacts, pretrain_options

STEPS = 120


@pytest.fixture(scope="module")
def medpix(shared_data: Path, ray_cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Artefacts:
    """Shards, links and knowledge of MedPix, made by the jobs."""
    folder = tmp_path_factory.mktemp("medpix")
    shards, links, bundle = (str(folder / name) for name in ("shards", "links", "knowledge"))
    graph = str(shared_data / "kg" / "cui_kg")
    corpus = ["--corpus", "jsonl", "--root", str(shared_data / "medpix2")]
    run_job(prepare, [*corpus, "--output", shards, "--samples_per_shard", "300", "--vocabulary_size", "0"])
    run_job(link, ["--shards", shards, "--ontology", graph, "--output", links])
    options = ["--minimum_count", "2", "--transe.width", "32", "--transe.epochs", "20"]
    with redirect_stdout(io.StringIO()) as printed:
        run_job(knowledge, ["--shards", shards, "--links", links, "--ontology", graph, "--output", bundle, *options])
    assert "mentions covered" in printed.getvalue()
    return Artefacts(shards, links, bundle)


@pytest.mark.ray
@pytest.mark.real_data
@pytest.mark.slow
def test_real_captions_train_with_a_real_graph(medpix: Artefacts, shared_data: Path, runs: Path, ray_cluster: None) -> None:
    assert len(KnowledgeBundle.load(Path(medpix.knowledge)).entities) >= 100
    assert not ShardManifest.load(medpix.shards).public
    options = [
        "--data.tokenizer",
        str(shared_data / "tokenizers" / "roberta-base"),
        "--train.findings",
        "[]",
        "--tracking.pictures",
        "true",
    ]
    length = ["--train.max_steps", str(STEPS), "--train.log_every", "10", "--train.validate_every", str(STEPS)]
    sizes = ["--train.global_batch", "16", "--train.validation_samples", "160", "--train.checkpoint_every", str(STEPS)]
    outcome = pretrain(parse(RunConfig, pretrain_options(medpix, "medpix", runs, *options, *length, *sizes)))

    client = open_client(outcome.tracking_uri)
    run = client.get_run(outcome.mlflow_run)
    assert run.info.status == "FINISHED"
    assert set(run.data.metrics) >= INTERFACE
    for name in ("loss", "mlm_loss", "mim_loss", "align_loss"):
        points = [point.value for point in client.get_metric_history(outcome.mlflow_run, f"train/{name}")]
        assert len(points) == STEPS // 10
        assert sum(points[-3:]) < 0.95 * sum(points[:3]), name
    pictures = {Path(file.path).name for file in client.list_artifacts(outcome.mlflow_run, "pictures")}
    assert pictures == {"reconstruction", "entity_attention"}
