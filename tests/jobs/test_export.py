"""From pre-training over fine-tuning to a folder that answers, as a user types it."""

import io
import json
from pathlib import Path

import pytest
from PIL import Image

import medvlp
from jobs.export import export
from jobs.finetune import finetune
from jobs.link import link
from jobs.prepare import prepare
from jobs.pretrain import pretrain
from medvlp.corpora.phantom import PhantomQuestions, phantom_ontology_path
from medvlp.errors import ConfigurationError
from scaleout.checkpoint.read import read_weights
from scaleout.cli import run_job
from scaleout.runs.opened import OpenedRun
from tests.jobs.tiny import Artefacts, pretrain_options

pytestmark = [pytest.mark.ray, pytest.mark.slow]

ONE_WORKER = ["--scale.workers", "1", "--train.max_steps", "2", "--train.checkpoint_every", "2", "--train.validate_every", "2"]


@pytest.fixture(scope="module")
def storage(ray_cluster: None, phantoms: Artefacts, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs with a pre-training run of two steps."""
    folder = tmp_path_factory.mktemp("runs")
    run_job(pretrain, pretrain_options(phantoms, "pre", folder, *ONE_WORKER))
    return folder


@pytest.fixture(scope="module")
def questions(storage: Path) -> list[str]:
    """Shards and links of questions, as options."""
    shards, links = str(storage.parent / "question-shards"), str(storage.parent / "question-links")
    run_job(prepare, ["--corpus", "phantom-questions", "--options", '{"train": 100, "validation": 40, "test": 0}', "--output", shards])
    run_job(link, ["--shards", shards, "--ontology", str(phantom_ontology_path()), "--output", links])
    return ["--data.shards", shards, "--data.links", links]


@pytest.fixture(scope="module")
def answering(storage: Path, questions: list[str]) -> list[str]:
    """The command line of a fine-tuning run, which has been run once."""
    sizes = ["--train.global_batch", "32", "--train.micro_batch", "8", "--train.validation_samples", "40", "--scale.threads", "1"]
    options = ["--name", "answers", "--storage", str(storage), "--start_from", str(storage / "pre"), *questions, *sizes, *ONE_WORKER]
    run_job(finetune, options)
    return options


def test_a_finished_finetuning_says_so_and_another_one_is_refused(
    answering: list[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    outcome = run_job(finetune, answering)
    assert "has finished all 2 steps" in caplog.text
    assert outcome.checkpoint.endswith("answers/checkpoints/step-00000002")
    with pytest.raises(SystemExit):
        run_job(finetune, [*answering, "--vqa.minimum_answer_count", "2"])
    assert "vqa.minimum_answer_count: was 1, now 2" in capsys.readouterr().err


def test_a_pretrained_model_is_exported_and_ranks(storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "model"
    run_job(export, ["--run", "pre", "--storage", str(storage), "--output", str(folder)])
    assert f'medvlp.load("{folder}")' in capsys.readouterr().out
    model = medvlp.load(folder)
    saved = read_weights(OpenedRun.open(str(storage / "pre")).checkpoint)
    assert all((parameter == saved[name]).all() for name, parameter in model.module.named_parameters())
    image = PhantomQuestions(train=5).sample("train", 1).image
    scores = model.match(Image.open(io.BytesIO(image)), ["Left pleural effusion.", "No abnormality."])
    assert len(scores) == 2
    assert all(0 < score < 1 for score in scores)
    assert len(model.findings(image)) >= 10
    assert model.entities("Cholelithiasis with a renal cyst.") != []
    assert model.config.origin.step == 2
    assert "itm_accuracy" in model.config.origin.metrics


def test_a_finetuned_model_is_exported_and_answers_as_it_did_in_training(
    storage: Path, answering: list[str], questions: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    run_job(export, ["--run", "answers", "--storage", str(storage), "--output", str(folder)])
    model = medvlp.load(folder)
    assert {"yes", "no", "left"} < set(model.config.targets["answers"])
    assert model.config.origin.started_from == "pre/checkpoints/step-00000002"
    assert 0 <= model.config.origin.metrics["answer_accuracy"] <= 1
    sample = PhantomQuestions(train=100).sample("train", 1)
    assert model.answer(sample.image, sample.texts[0]) in model.config.targets["answers"]
    with pytest.raises(ConfigurationError, match="pre-training run"):
        model.findings(sample.image)


def test_a_model_is_not_overwritten_unasked(storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--run", "pre", "--storage", str(storage), "--output", str(tmp_path)]
    run_job(export, options)
    with pytest.raises(SystemExit):
        run_job(export, options)
    assert "is not empty (README.md, SHA256SUMS, config.json …)" in capsys.readouterr().err
    run_job(export, [*options, "--overwrite"])
    with pytest.raises(SystemExit):
        run_job(export, ["--run", "absent", "--storage", str(storage), "--output", str(tmp_path / "other")])
    assert "there is no run" in capsys.readouterr().err


def test_a_run_whose_tokenizer_was_altered_is_not_exported(storage: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = storage / "pre" / "run.json"
    content = path.read_text()
    record = json.loads(content)
    record["fingerprints"]["tokenizer"] = "another"
    path.write_text(json.dumps(record))
    try:
        with pytest.raises(SystemExit):
            run_job(export, ["--run", "pre", "--storage", str(storage), "--output", str(tmp_path)])
    finally:
        path.write_text(content)
    assert "was trained with tokenizer another" in capsys.readouterr().err
