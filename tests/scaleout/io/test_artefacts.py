"""What a folder holds is said where something else is expected."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medvlp.errors import MedvlpError
from medvlp.interchange.model_folder import CONFIG_FILE
from medvlp.interchange.weights_folder import REPORT_FILE
from medvlp.knowledge.bundle import METADATA_FILE
from scaleout.checkpoint.record import COMPLETE_FILE
from scaleout.io import artefacts, manifest
from scaleout.launch.evaluate import Subject
from scaleout.links.manifest import LinksManifest
from scaleout.runs.config import CorpusConfig
from scaleout.runs.inputs import open_knowledge
from scaleout.runs.opened import OpenedRun
from scaleout.runs.record import RUN_FILE
from scaleout.runs.start import StartPoint
from scaleout.shards.manifest import ShardManifest
from scaleout.studies.sweep.search import RESULT_FILE

READERS: dict[str, Callable[[str], Any]] = {
    "shards": ShardManifest.load,
    "links": LinksManifest.load,
    "a knowledge bundle": open_knowledge,
    "a run": OpenedRun.open,
    "a start": lambda folder: StartPoint.find(folder, "last"),
    "a model": lambda folder: Subject.of_model(folder, CorpusConfig(shards="s", links="l")),
}


def test_the_marks_are_those_of_the_writers() -> None:
    marks = {RESULT_FILE, RUN_FILE, COMPLETE_FILE, METADATA_FILE, REPORT_FILE, CONFIG_FILE, "tokenizer_config.json"}
    assert set(artefacts._MARKS) == marks
    assert manifest.MANIFEST_FILE == artefacts.MANIFEST_FILE


@pytest.mark.parametrize("wanted", READERS)
def test_each_artefact_in_place_of_another_is_named(
    wanted: str, tmp_path: Path, phantom_shards: str, phantom_links: str, phantom_knowledge: Path
) -> None:
    given = {"shards": phantom_shards, "links": phantom_links, "a knowledge bundle": str(phantom_knowledge)}
    for mark, what in artefacts._MARKS.items():
        if what != "a knowledge bundle":
            folder = tmp_path / what
            folder.mkdir()
            (folder / mark).write_text("{}")
            given[what] = str(folder)
    starts = {"a run", "a checkpoint of a run", "imported weights", "a model"}
    for what, folder in given.items():
        if what == wanted or (wanted == "a start" and what in starts) or (wanted == "a run" and what == "a checkpoint of a run"):
            continue
        with pytest.raises(MedvlpError, match=f"(holds|is) {what}"):
            READERS[wanted](folder)


def test_an_unknown_folder_is_not_described(tmp_path: Path) -> None:
    assert artefacts.instead(str(tmp_path)) == artefacts.instead(str(tmp_path / "absent")) == ""
    for damaged in ("[", "1", "[" * 100_000):
        (tmp_path / "manifest.json").write_text(damaged)
        assert artefacts.instead(str(tmp_path)) == ""
