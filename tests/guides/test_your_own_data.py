"""The guide to one's own data: its commands run, and its tables say what came out."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from string import Template

import pytest

from jobs.knowledge import knowledge
from jobs.leaks import leaks
from jobs.link import link
from jobs.prepare import prepare
from medvlp.knowledge.bundle import KnowledgeBundle
from scaleout.cli import run_job
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import ShardManifest
from tests.conftest import REPOSITORY

GUIDE = REPOSITORY / "docs" / "guides" / "your-own-data.md"
JOBS: dict[str, Callable[..., None]] = {"prepare": prepare, "link": link, "knowledge": knowledge, "leaks": leaks}
CORPORA = ("slake", "vqa-rad", "medpix", "covid")
GRAPHS = ("cui_kg", "doid_uberon")


def commands(corpus: str = "") -> list[str]:
    """The commands of the guide: those for every corpus if one is named, else the others."""
    blocks = re.findall(r"```bash\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line]
    return [line for line in lines if ("$CORPUS" in line) == bool(corpus)]


def run(command: str, **places: str) -> None:
    """A command of the guide, in this process: one Ray serves all."""
    python, job, *arguments = shlex.split(Template(command).substitute(places))
    assert python == "python"
    run_job(JOBS[Path(job).stem], arguments)


def row(*cells: object) -> str:
    """The beginning of a row of a table of the guide."""
    return "| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |"


def test_every_command_names_a_job_that_there_is() -> None:
    assert {shlex.split(line)[1] for line in [*commands(), *commands("any")]} == {f"jobs/{name}.py" for name in JOBS}


@pytest.mark.ray
@pytest.mark.real_data
@pytest.mark.slow
def test_the_commands_give_what_the_tables_say(
    shared_data: Path, tmp_path: Path, ray_cluster: None, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"DATA": str(shared_data), "OUT": str(tmp_path)}
    guide = GUIDE.read_text()
    for command in commands():
        run(command, **places)
    printed = capsys.readouterr().out
    assert re.search(r"shards with \d+ samples match their manifest", printed)
    assert "medpix2 train: 10 of 1593 images are among the 203 of vqa-rad test (9 by name, 10 by picture, 9 by both)" in printed
    assert ShardManifest.load(str(tmp_path / "medpix-without" / "shards")).dropped["train"]["image is in a benchmark"] == 10
    for corpus in CORPORA:
        manifest = ShardManifest.load(str(tmp_path / corpus / "shards"))
        dropped = sum(sum(reasons.values()) for reasons in manifest.dropped.values())
        counts = [manifest.splits.get(split, 0) for split in ("train", "validation", "test")]
        assert row(corpus, *counts, dropped) in guide
        for command in commands(corpus):
            run(command, **places, CORPUS=corpus)
        for graph in GRAPHS:
            links = LinksManifest.load(str(tmp_path / corpus / graph / "links"))
            bundle = KnowledgeBundle.load(tmp_path / corpus / graph / "knowledge")
            found = row(corpus, graph, f"{links.linked_texts / links.texts:.0%}", links.spans, len(bundle.entities), len(bundle.triples))
            assert found in guide
    # No text of anybody is printed.
    assert "The prostate is enlarged" not in printed
