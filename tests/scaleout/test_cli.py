"""The command line that every job has."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import yaml

from medvlp.configuration import to_plain
from medvlp.errors import ConfigurationError, DataError
from scaleout import cli


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data lie."""

    shards: str
    """Folder of shards."""
    batch: int = 3
    """Rows per micro-batch."""

    def __post_init__(self) -> None:
        if self.batch < 1:
            raise ConfigurationError("data.batch must be at least 1")


@dataclass(frozen=True, kw_only=True)
class ScaleConfig:
    """How large the run is."""

    workers: int = 1
    widths: tuple[int, ...] = (16, 32)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run."""

    name: str
    """What it is called."""
    data: DataConfig
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    knowledge: str | None = None
    mode: Literal["fast", "slow"] = "fast"
    ontology: list[Path] = field(default_factory=list)
    options: dict[str, int | float | str] = field(default_factory=dict)


REQUIRED = ["--name", "one", "--data.shards", "s"]


def pretrain(config: RunConfig) -> RunConfig:
    """Train it.

    Args:
        config: The run.
    """
    return config


def link(*, shards: str, ontology: list[str], limit: int = 5) -> tuple[str, list[str], int]:
    """Link the texts.

    Args:
        shards: Where the shards lie.
        ontology: An ontology file; may be repeated.
        limit: How many.
    """
    return shards, ontology, limit


def test_parameters_beside_a_dataclass_are_options_too() -> None:
    def check(config: RunConfig, preflight: bool = False, tries: int = 1) -> tuple[str, bool, int]:
        """Check it."""
        return config.name, preflight, tries

    assert cli.run_job(check, [*REQUIRED, "--preflight", "--tries", "3"]) == ("one", True, 3)
    assert cli.run_job(check, REQUIRED) == ("one", False, 1)


def test_fields_of_a_dataclass_are_the_options() -> None:
    config = cli.run_job(pretrain, [*REQUIRED, "--scale.workers", "2", "--mode=slow", "--options.train", "500", "--options.noise", "0.5"])
    assert config == RunConfig(
        name="one", data=DataConfig(shards="s"), scale=ScaleConfig(workers=2), mode="slow", options={"train": 500, "noise": 0.5}
    )


def test_parameters_of_a_function_are_the_options() -> None:
    assert cli.run_job(link, ["--shards", "s", "--ontology", "a.obo"]) == ("s", ["a.obo"], 5)


@pytest.mark.parametrize(
    "arguments",
    [["--ontology", "a", "--ontology", "b c"], ["--ontology=a", "--ontology=b c"], ["--ontology", '["a", "b c"]']],
)
def test_a_repeated_option_is_a_list(arguments: list[str]) -> None:
    assert cli.run_job(link, ["--shards", "s", *arguments, "--limit", "6"]) == ("s", ["a", "b c"], 6)


def fill(*, output: str, overwrite: bool = False, keep: bool = True) -> tuple[str, bool, bool]:
    """Fill a folder."""
    return output, overwrite, keep


@pytest.mark.parametrize(
    "arguments",
    [
        ["--overwrite", "--output", "o"],
        ["--output", "o", "--overwrite"],
        ["--overwrite=true", "--output=o"],
        ["--overwrite", "true", "--output", "o", "--keep", "true"],
    ],
)
def test_a_flag_needs_no_value(arguments: list[str]) -> None:
    assert cli.run_job(fill, arguments) == ("o", True, True)
    assert cli.run_job(fill, [*arguments, "--keep", "false"]) == ("o", True, False)


def test_command_line_wins_over_the_recipe_wherever_it_stands(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: one\ndata: {shards: s, batch: 7}\nscale: {workers: 4}\nontology: [c]\n")
    config = cli.parse(RunConfig, ["--scale.workers", "2", "--ontology", "a", "--config", str(recipe), "--data.batch", "9"])
    assert config == RunConfig(name="one", data=DataConfig(shards="s", batch=9), scale=ScaleConfig(workers=2), ontology=[Path("a")])


def test_unknown_key_in_the_recipe_names_the_nearest(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: one\ndata: {shards: s, btch: 7}\n")
    with pytest.raises(ConfigurationError, match=r"unknown option 'data.btch'; did you mean 'data.batch'"):
        cli.parse(RunConfig, ["--config", str(recipe)])
    recipe.write_text("name: one\ndata: {shards: s}\nontlogy: [a]\n")
    with pytest.raises(ConfigurationError, match=r"unknown option 'ontlogy'; did you mean 'ontology'"):
        cli.parse(RunConfig, ["--config", str(recipe)])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("data: {batch: 1}\nname: x\ndata: {batch: 2}\n", r"'data' is given twice: .*/recipe\.yaml, lines 1 and 3"),
        ("data:\n  batch: 1\n  shards: s\n  batch: 2\n", r"'data\.batch' is given twice: .*/recipe\.yaml, lines 2 and 4"),
        ("data.batch: 1\ndata: {batch: 2}\n", r"'data\.batch' is given twice: .*/recipe\.yaml, lines 1 and 2"),
        ("ontology: []\noptions: {a: 1, b: 2, a: 3}\n", r"'options\.a' is given twice: .*, lines 2 and 2"),
    ],
)
def test_a_key_that_a_recipe_has_twice_is_refused(content: str, message: str, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(content)
    with pytest.raises(ConfigurationError, match=message):
        cli.parse(RunConfig, [*REQUIRED, "--config", str(recipe)])


def test_a_key_that_an_option_has_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'a' is given twice"):
        cli.parse(RunConfig, [*REQUIRED, "--options", '{"a": 1, "a": 2}'])


def test_the_same_key_in_two_sections_or_recipes_is_fine(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two"), 1):
        (tmp_path / f"{name}.yaml").write_text(f"data: {{batch: {number}}}\noptions: {{batch: 5}}\n")
    config = cli.parse(RunConfig, [*REQUIRED, "--config", str(tmp_path / "one.yaml"), "--config", str(tmp_path / "two.yaml")])
    assert config.data.batch == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nme", "x"], r"unknown option 'nme'; did you mean 'name'"),
        (["--scale.worker", "2"], r"unknown option 'scale.worker'; did you mean 'scale.workers'"),
        (["--data.batch", "many"], r"data.batch.*int.*many"),
        (["--mode", "medium"], r"mode.*medium"),
        (["--data.batch", "0"], r"data.batch must be at least 1"),
        (["--config", "/nowhere/recipe.yaml"], r"recipe.yaml"),
        (["stray"], r"stray"),
    ],
)
def test_what_is_wrong_is_named(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        cli.parse(RunConfig, [*REQUIRED, *arguments])


def test_a_missing_option_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"data.shards"):
        cli.parse(RunConfig, ["--name", "one"])


def test_yaml_reads_back(tmp_path: Path) -> None:
    config = RunConfig(name="naïve", data=DataConfig(shards="s"), ontology=[Path("a")], options={"train": 5})
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(cli.to_yaml(config))
    assert cli.parse(RunConfig, ["--config", str(recipe)]) == config
    assert yaml.safe_load(recipe.read_text()) == to_plain(config)
    assert to_plain(config)["scale"] == {"workers": 1, "widths": [16, 32]}


def test_help_comes_from_the_docstrings(capsys: pytest.CaptureFixture[str]) -> None:
    for function, expected in ((pretrain, "Rows per micro-batch."), (link, "An ontology file; may be repeated.")):
        with pytest.raises(SystemExit) as end:
            cli.run_job(function, ["--help"])
        assert end.value.code == 0
        assert expected in capsys.readouterr().out


def fail(*, shards: str = "") -> None:
    """Fail."""
    raise DataError("shard 3 is truncated; copy it again")


def test_an_error_is_one_line_and_exit_code_2(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cli.DEBUG_VARIABLE, raising=False)
    with pytest.raises(SystemExit) as end:
        cli.run_job(fail, [])
    assert end.value.code == 2
    assert capsys.readouterr().err == "DataError: shard 3 is truncated; copy it again\n"


def test_debug_adds_the_traceback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        cli.run_job(fail, ["--debug"])
    assert "Traceback" in capsys.readouterr().err
    monkeypatch.setenv(cli.DEBUG_VARIABLE, "1")
    monkeypatch.setattr(sys, "argv", ["job"])
    with pytest.raises(SystemExit):
        cli.run_job(fail)
    assert "Traceback" in capsys.readouterr().err


def test_no_output_of_a_job_shows_a_password(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0k3n")
    address = "http://user:s3cr%40t@127.0.0.1:9"

    def job(uri: str) -> None:
        """Print, log, and fail."""
        print(f"printed {uri}")
        try:
            raise OSError(f"cause at {uri} with t0k3n")
        except OSError as error:
            raise DataError(f"failed at {uri} with t0k3n") from error

    with pytest.raises(SystemExit):
        cli.run_job(job, ["--print_config", "--uri", address])
    shown = capsys.readouterr().out
    assert "uri: http://127.0.0.1:9" in shown
    with pytest.raises(SystemExit):
        cli.run_job(job, ["--uri", address, "--debug"])
    output = capsys.readouterr()
    for text in ("printed http://127.0.0.1:9", "cause at http://127.0.0.1:9 with ***", "DataError: failed at http://127.0.0.1:9 with ***"):
        assert text in output.out + output.err
    for secret in ("s3cr", "t0k3n", "user:"):
        assert secret not in shown
        assert secret not in output.out + output.err
