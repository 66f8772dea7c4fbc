"""Whatever is wrong with a run is one line that says what to change, and comes before training where that is possible."""

import json
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from jobs.pretrain import pretrain
from medvlp.corpora.phantom import phantom_ontology_path
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from scaleout.cli import run_job
from scaleout.links.link import link_shards
from scaleout.shards.manifest import ShardManifest
from tests.jobs.spoilt import copy_shards, with_broken_images
from tests.jobs.tiny import Artefacts, pretrain_options

pytestmark = pytest.mark.ray

SECONDS = 30
"""For a refusal; nearly all of it is the start of Ray where the test is the first."""
SMALL = ["--scale.workers", "1", "--tracking.pictures", "false", "--train.validation_samples", "16", "--train.log_every", "1"]


def refusal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that jobs/pretrain.py writes to stderr when it refuses."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run_job(pretrain, argv)
    assert end.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if "Error: " in line]
    assert len(lines) == 1
    return lines[0]


def early_refusal(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The same, in seconds."""
    started = time.monotonic()
    message = refusal(argv, capsys)
    assert time.monotonic() - started < SECONDS
    return message


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--train.max_stepz", "3"], "did you mean 'train.max_steps'?"),
        (["--scale.zero_stage", "4"], "scale.zero_stage is 4: take at least 0 and at most 3"),
        (["--train.global_batch", "30"], "not a multiple of train.micro_batch"),
        (["--scale.workers", "8", "--train.global_batch", "64"], "set scale.workers to at most 6"),
        (["--scale.use_gpu", "true"], "need one GPU each"),
        (["--data.shards", "/nowhere"], "jobs/prepare.py"),
        (["--data.links", "/nowhere"], "jobs/link.py"),
        (["--knowledge", "/nowhere"], "jobs/knowledge.py"),
        (["--train.findings", "[finding, disease]"], "train.findings: no entity of the knowledge bundle has the semantic type 'disease'; "),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    options: list[str], expected: str, phantoms: Artefacts, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in early_refusal(pretrain_options(phantoms, "refused", tmp_path, *options), capsys)
    assert not (tmp_path / "refused").exists()


def test_an_unknown_key_of_a_recipe_is_refused(phantoms: Artefacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("train: {max_step: 3}\n")
    assert "did you mean 'train.max_steps'?" in early_refusal(
        pretrain_options(phantoms, "refused", tmp_path, "--config", str(recipe)), capsys
    )


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_shard_that_is_missing_or_truncated_is_named(
    damage: str, phantoms: Artefacts, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = copy_shards(phantoms, tmp_path) / "train-00002.tar"
    content = shard.read_bytes()
    shard.unlink()
    if damage == "truncated":
        shard.write_bytes(content[: len(content) // 2])
    message = early_refusal(pretrain_options(replace(phantoms, shards=str(shard.parent)), "refused", tmp_path), capsys)
    assert message.startswith("DataError: ")
    assert str(shard) in message
    assert {"missing": "no such file", "truncated": "is truncated"}[damage] in message


def test_an_altered_manifest_is_refused(phantoms: Artefacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = copy_shards(phantoms, tmp_path)
    manifest = json.loads((shards / "manifest.json").read_text())
    manifest["corpus"] += " altered"
    (shards / "manifest.json").write_text(json.dumps(manifest))
    message = early_refusal(pretrain_options(replace(phantoms, shards=str(shards)), "refused", tmp_path), capsys)
    assert "was altered" in message


def test_links_of_another_ontology_than_the_bundle_are_refused(
    phantoms: Artefacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.obo"
    other.write_text("format-version: 1.2\nontology: other\n\n[Term]\nid: O:1\nname: effusion\n\n[Term]\nid: O:2\nname: lung\nis_a: O:1\n")
    ontology = read_ontologies([other])
    links = str(tmp_path / "links")
    link_shards(phantoms.shards, ontology, DictionaryLinker.build(ontology), links, run=map)
    message = early_refusal(pretrain_options(replace(phantoms, links=links), "refused", tmp_path), capsys)
    assert message.startswith("KnowledgeError: ")
    assert "make one of them again with the other's ontology" in message


def test_links_of_another_linker_than_the_bundle_are_refused(
    phantoms: Artefacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Newer(DictionaryLinker):
        version = "dictionary-next"

    links = str(tmp_path / "links")
    ontology = read_ontologies([phantom_ontology_path()])
    link_shards(phantoms.shards, ontology, Newer.build(ontology), links, run=map)
    message = early_refusal(pretrain_options(replace(phantoms, links=links), "refused", tmp_path), capsys)
    assert "made by linker dictionary-next" in message
    assert "was made with dictionary-3" in message


def test_links_of_other_shards_are_refused(phantoms: Artefacts, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shards = copy_shards(phantoms, tmp_path)
    manifest = ShardManifest.load(str(shards))
    replace(manifest, shards=manifest.shards[1:]).save(str(shards))
    message = early_refusal(pretrain_options(replace(phantoms, shards=str(shards)), "refused", tmp_path), capsys)
    assert "were made from other shards" in message


def test_a_storage_that_cannot_be_written_is_refused(
    phantoms: Artefacts, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    message = early_refusal(pretrain_options(phantoms, "refused", tmp_path / "file" / "runs"), capsys)
    assert f"cannot write below {tmp_path}/file/runs" in message
    assert "choose another folder" in message


def test_a_bucket_that_cannot_be_written_is_refused(
    phantoms: Artefacts, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = ["--tracking.uri", f"sqlite:///{tmp_path}/mlflow.db"]
    message = early_refusal(pretrain_options(phantoms, "refused", "s3://no-such-bucket/runs", *store), capsys)
    assert "cannot write below s3://no-such-bucket/runs" in message


@pytest.mark.slow
def test_a_shard_altered_without_a_change_of_size_ends_the_run_and_is_named(
    phantoms: Artefacts, runs: Path, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = copy_shards(phantoms, tmp_path)
    for shard in shards.glob("train-*.tar"):
        content = bytearray(shard.read_bytes())
        middle = len(content) // 2 // 512 * 512
        content[middle : middle + 4096] = bytes(4096)
        shard.write_bytes(content)
    message = refusal(pretrain_options(replace(phantoms, shards=str(shards)), "altered", runs, *SMALL), capsys)
    assert message.startswith(f"DataError: shard {shards}/train-")
    assert "make the shards again with jobs/prepare.py" in message


@pytest.mark.slow
def test_images_that_do_not_decode_are_counted_and_left_out(
    phantoms: Artefacts, runs: Path, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = with_broken_images(phantoms, tmp_path, lambda key: key % 40 == 7)
    run_job(pretrain, pretrain_options(spoilt, "spoilt", runs, *SMALL, "--train.global_batch", "240", "--train.max_steps", "1"))
    lines = [json.loads(line) for line in (runs / "spoilt" / "metrics.jsonl").read_text().splitlines()]
    metrics = {name: value for line in lines for name, value in line["metrics"].items()}
    assert metrics["train/skipped_samples"] == 6  # one epoch of 240 samples
    assert metrics["train/loss"] > 0


@pytest.mark.slow
def test_a_run_with_too_many_images_that_do_not_decode_stops(
    phantoms: Artefacts, runs: Path, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = with_broken_images(phantoms, tmp_path, lambda key: key % 2 == 0)
    message = refusal(pretrain_options(spoilt, "stopped", runs, *SMALL), capsys)
    assert message.startswith("TrainingError: ")
    assert "samples could not be decoded, more than data.bad_samples 1.00% allows" in message
    shutil.rmtree(runs / "stopped")
