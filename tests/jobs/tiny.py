"""The main job, small enough for tests."""

from dataclasses import dataclass
from pathlib import Path

from scaleout.cli import parse
from scaleout.runs.config import RunConfig

RECIPE = Path(__file__).with_name("tiny.yaml")


@dataclass(frozen=True)
class Artefacts:
    """What a run reads."""

    shards: str
    links: str
    knowledge: str

    @property
    def options(self) -> list[str]:
        """As options of jobs/pretrain.py."""
        return ["--data.shards", self.shards, "--data.links", self.links, "--knowledge", self.knowledge]


def pretrain_options(artefacts: Artefacts, name: str, storage: str | Path, *overrides: str) -> list[str]:
    """The command line of a tiny run; ``overrides`` are options too."""
    return ["--config", str(RECIPE), "--name", name, "--storage", str(storage), *artefacts.options, *overrides]


def pretrain_config(artefacts: Artefacts, name: str, storage: str | Path, *overrides: str) -> RunConfig:
    """The configuration that ``pretrain_options`` is parsed to."""
    return parse(RunConfig, pretrain_options(artefacts, name, storage, *overrides))
