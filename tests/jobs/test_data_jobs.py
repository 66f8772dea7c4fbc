"""The data jobs as a user starts them: corpus to shards, links and knowledge; local, on S3, and on real data."""

import json
from pathlib import Path

import pytest

from jobs.knowledge import inspect_knowledge, knowledge
from jobs.link import link
from jobs.prepare import prepare
from medvlp.corpora.phantom import phantom_ontology_path
from medvlp.knowledge.bundle import KnowledgeBundle
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import ShardManifest

PHANTOM = ["--corpus", "phantom", "--options.train", "60", "--options.validation", "20", "--options.test", "0"]
ONTOLOGY = str(phantom_ontology_path())


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh place, local and remote in turn."""
    return str(tmp_path) if request.param == "local" else storage.join(request.getfixturevalue("s3"), "jobs")


@pytest.mark.ray
def test_from_phantoms_to_knowledge(root: str, ray_cluster: None, capsys: pytest.CaptureFixture[str]) -> None:
    shards, links, bundle = (storage.join(root, name) for name in ("shards", "links", "knowledge"))
    run_job(prepare, [*PHANTOM, "--output", shards, "--samples_per_shard", "20", "--vocabulary_size", "500"])
    assert "| train | 60 | 60 |" in capsys.readouterr().out
    run_job(link, ["--shards", shards, "--ontology", ONTOLOGY, "--output", links])
    assert "with a concept" in capsys.readouterr().out
    options = ["--shards", shards, "--links", links, "--ontology", ONTOLOGY, "--output", bundle]
    small = ["--minimum_count", "2", "--transe.width", "16", "--transe.epochs", "5"]
    run_job(knowledge, [*options, *small])
    printed = capsys.readouterr().out
    assert "mentions covered" in printed
    assert "commonest concepts that are no entities:" in printed

    manifest, links_manifest = ShardManifest.load(shards), LinksManifest.load(links)
    assert manifest.splits == {"train": 60, "validation": 20}
    assert manifest.public
    assert links_manifest.linked_texts > 0.9 * links_manifest.texts
    with storage.local_copy(bundle) as folder:
        found = KnowledgeBundle.load(folder)
    assert len(found.entities) >= 10
    assert found.provenance.links_fingerprint == links_manifest.fingerprint
    assert found.vectors.shape[1] == 16

    run_job(knowledge, [*options, *small])  # the same again is no conflict
    capsys.readouterr()
    assert refusal(knowledge, [*options, *small[:-1], "6"], capsys).startswith("KnowledgeError: ")
    run_job(knowledge, [*options, *small[:-1], "6", "--overwrite"])


def test_a_bundle_can_be_looked_at(phantom_knowledge: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "heart.png"
    run_job(inspect_knowledge, ["--inspect", str(phantom_knowledge), "--concept", "heart", "--picture", str(picture), "--commonest", "3"])
    shown = capsys.readouterr().out
    assert "relations: " in shown
    assert "nearest vectors: " in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    refused = refusal(inspect_knowledge, ["--inspect", str(phantom_knowledge), "--concept", "gizzard"], capsys)
    assert "the bundle has no entity named 'gizzard'" in refused
    assert "jobs/knowledge.py" in refusal(inspect_knowledge, ["--inspect", str(tmp_path)], capsys)


def test_knowledge_refuses_another_ontology(
    phantom_shards: str, phantom_links: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.obo"
    other.write_text("format-version: 1.2\nontology: other\n\n[Term]\nid: O:1\nname: effusion\n\n[Term]\nid: O:2\nname: lung\nis_a: O:1\n")
    options = ["--shards", phantom_shards, "--links", phantom_links, "--ontology", str(other), "--output", str(tmp_path / "knowledge")]
    message = refusal(knowledge, options, capsys)
    assert message.startswith("KnowledgeError: the links were made with ontology")
    assert not (tmp_path / "knowledge" / "bundle.json").exists()


@pytest.mark.ray
def test_concepts_are_left_out_of_links_and_knowledge(
    phantom_shards: str, tmp_path: Path, ray_cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    links, bundle = str(tmp_path / "links"), str(tmp_path / "knowledge")
    left_out = ["--leave_out.branches", "neoplasm", "--leave_out.concepts", "imaging finding"]
    common = ["--shards", phantom_shards, "--ontology", ONTOLOGY]
    run_job(link, [*common, "--output", links, *left_out])
    assert LinksManifest.load(links).counts
    options = [*common, "--links", links, "--output", bundle, "--minimum_count", "2", "--transe.width", "16", "--transe.epochs", "2"]
    assert "give the same --ontology, --umls, --language and --leave_out" in refusal(knowledge, options, capsys)
    run_job(knowledge, [*options, *left_out])
    assert KnowledgeBundle.load(tmp_path / "knowledge").entities
    assert "cannot leave out 'gizzard'" in refusal(link, [*common, "--output", links, "--leave_out.concepts", "gizzard"], capsys)


def test_what_is_wrong_with_a_command_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = ["--output", str(tmp_path / "out")]
    for job, arguments, expected in (
        (prepare, ["--corpus", "phantoms", *output], "phantom"),
        (prepare, ["--corpus", "phantom", "--options.trian", "5", *output], "train"),
        (prepare, ["--corpus", "phantom", "--ouput", "x"], "did you mean 'output'?"),
        (link, ["--shards", str(tmp_path / "no"), "--ontology", ONTOLOGY, *output], "jobs/prepare.py"),
        (link, ["--shards", str(tmp_path / "no"), "--ontology", str(tmp_path / "no.obo"), *output], "no.obo"),
    ):
        message = refusal(job, arguments, capsys)
        assert expected in message
        assert message.count("\n") == 1


@pytest.mark.ray
@pytest.mark.real_data
@pytest.mark.parametrize(("name", "minimum"), [("medpix2", 1700), ("covid_chestxray", 200)])
def test_real_data_become_shards_with_one_command(
    name: str, minimum: int, shared_data: Path, tmp_path: Path, ray_cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shared_data / name
    output = str(tmp_path / "shards")
    run_job(prepare, ["--corpus", "jsonl", "--root", str(root), "--output", output, "--samples_per_shard", "500"])
    manifest = ShardManifest.load(output)
    rows = [json.loads(line) for line in (root / "captions.jsonl").read_text().splitlines()]
    items = len({row["image"] for row in rows})
    kept = sum(manifest.splits.values())
    assert kept >= minimum
    assert kept + sum(sum(reasons.values()) for reasons in manifest.dropped.values()) == items
    printed = capsys.readouterr().out
    assert not any(row["text"] in printed for row in rows)


def refusal(job: object, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a job that refuses writes to stderr."""
    with pytest.raises(SystemExit) as end:
        run_job(job, arguments)  # type: ignore[type-var, arg-type]
    assert end.value.code == 2
    return capsys.readouterr().err
