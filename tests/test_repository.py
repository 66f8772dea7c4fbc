"""The repository itself: what its layout, its lists and its cluster files promise."""

import logging
import re
import subprocess
import sys
import tomllib
import zipfile
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata, version
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.conftest import REPOSITORY

MEBIBYTE = 1024**2


def tracked_files() -> list[Path]:
    """The files under version control, and those that are about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout.decode().split("\0")
    return [REPOSITORY / name for name in names if name and (REPOSITORY / name).is_file()]


def snapshot(folder: Path, target: Path, excludes: list[str]) -> list[str]:
    """The names in the package that ``ray job submit --working-dir folder`` would upload."""
    from ray._private.runtime_env.packaging import create_package

    create_package(str(folder), target, include_gitignore=True, excludes=excludes, logger=logging.getLogger(__name__))
    with zipfile.ZipFile(target) as package:
        return package.namelist()


def runtime_environment() -> dict[str, Any]:
    return dict(yaml.safe_load((REPOSITORY / "runtime_env.yaml").read_text()))


def requirements(*extras: str) -> list[Requirement]:
    """What pyproject.toml asks for: to run, and for these extras."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def constraints(python: str = ".".join(map(str, sys.version_info[:3]))) -> dict[str, Requirement]:
    """What constraints.txt pins for a version of Python, by default this one, by name."""
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins if pin.marker is None or pin.marker.evaluate({"python_full_version": python})}


def pinned_version(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", pin
    return specifier.version


def test_platform_is_a_source_root_and_no_package() -> None:
    assert not (REPOSITORY / "platform" / "__init__.py").exists(), "it would hide the standard library's platform module"


def test_the_standard_library_keeps_its_platform_module() -> None:
    script = "import platform, uuid; print(platform.system(), uuid.uuid4().version)"
    output = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert output.split() == ["Linux", "4"]
    import platform

    assert platform.system() == "Linux"


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_ray_worker_keeps_the_standard_library_s_platform_module() -> None:
    import ray

    @ray.remote
    def system() -> tuple[str, str]:
        import platform

        import scaleout

        return platform.system(), str(Path(str(scaleout.__file__)).parents[1].name)

    assert ray.get(system.remote()) == ("Linux", "platform")


def test_rooms_import_only_what_they_may() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_dependency_is_justified_and_nothing_else() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {re.split(r"[<>=!~;\s]", line)[0] for line in lines}
    justified = set(re.findall(r"^\| `([^`]+)` \|", (REPOSITORY / "docs" / "dependencies.md").read_text(), re.MULTILINE))
    assert justified == declared


def test_constraints_are_within_the_ranges_and_allow_wheels_of_every_kind() -> None:
    pins = constraints()
    for requirement in requirements("test", "docs"):
        pinned = pinned_version(pins[canonicalize_name(requirement.name)])
        assert requirement.specifier.contains(pinned), f"{requirement}, but constraints.txt says {pinned}: make constraints"
    assert not [name for name, pin in pins.items() if Version(pinned_version(pin)).local], "+cpu would shut out GPUs"
    assert pins["botocore"].specifier.contains(pinned_version(pins["boto3"])), "boto3 and botocore are released together"


@pytest.mark.parametrize("python", ["3.11.0", "3.12.0", "3.13.0"])
def test_constraints_can_be_installed_with_the_first_release_of_every_python(python: str) -> None:
    refused = []
    for name, pin in constraints(python).items():
        with suppress(PackageNotFoundError):
            needs = metadata(name).get("Requires-Python") or ""
            if pin.specifier.contains(version(name), prereleases=True) and not SpecifierSet(needs).contains(python):
                refused.append(f"{pin} needs Python {needs}")
    assert not refused, "pip would find no version, as it did with Debian's 3.11.2"


def test_the_environment_of_the_repository_is_what_constraints_say() -> None:
    if Path(sys.prefix).resolve() != (REPOSITORY / ".venv").resolve():
        pytest.skip("not the environment that make setup makes")
    different = {}
    for name, pin in constraints().items():
        try:
            if not pin.specifier.contains(version(name), prereleases=True):
                different[name] = f"{version(name)} is installed, {pin} wanted"
        except PackageNotFoundError:
            continue
    assert not different, f"make setup, or make constraints if it is right: {different}"


@pytest.mark.parametrize("name", ["Makefile", "cluster.yaml", "platform/deploy/Dockerfile"])
def test_every_installation_heeds_the_constraints(name: str) -> None:
    project = re.compile(r"pip install .*(torch|medvlp|boto3|'\.\[)")
    lines = [line for line in (REPOSITORY / name).read_text().splitlines() if project.search(line)]
    free = [
        line for line in lines if not any(word in line for word in ("-c constraints.txt", "/constraints.txt", "--upgrade", "-c $(LOWEST)"))
    ]
    assert lines
    assert not free


def test_type_checkers_of_users_see_the_types() -> None:
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    tracked = {path.relative_to(REPOSITORY).as_posix() for path in tracked_files()}
    assert {f"{package}/py.typed" for package in packages} <= tracked


def test_the_hooks_before_a_commit_run_what_the_checks_run() -> None:
    repositories = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"], "nothing is fetched, and versions are those of .venv"
    hooks = repositories[0]["hooks"]
    assert all(hook["language"] == "system" and hook["entry"].startswith(".venv/bin/") for hook in hooks)
    makefile = (REPOSITORY / "Makefile").read_text()
    checks = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert checks
    tools = {line.split()[0] for line in checks[1].splitlines() if not line.startswith("\tpython")}  # which prints, and checks nothing
    assert {hook["entry"].split()[0].removeprefix(".venv/bin/") for hook in hooks} == tools


def test_the_tour_leads_to_folders_that_are_there() -> None:
    tour = re.search(r"^## Tour of the tree\n+```\n(.*?)```", (REPOSITORY / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    assert tour
    named, above = set(), [(-1, REPOSITORY)]
    for line in tour[1].splitlines():
        depth = len(line) - len(line.lstrip())
        above = [(indent, folder) for indent, folder in above if indent < depth]
        folders = [above[-1][1] / word for word in re.split(r"  +", line.strip())[0].split()]
        named.update(folders)
        above.append((depth, folders[-1]))
    assert len(named) > 20
    assert not [str(folder.relative_to(REPOSITORY)) for folder in sorted(named) if not folder.is_dir()]


def test_the_citation_names_the_version_and_the_paper() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert (citation["title"], citation["version"], citation["license"]) == (project["name"], project["version"], project["license"])
    assert [reference["doi"] for reference in citation["references"]] == ["10.1145/3503161.3547948"]


def test_the_cluster_file_passes_ray_s_schema() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    configuration = prepare_config(yaml.safe_load((REPOSITORY / "cluster.yaml").read_text()))
    validate_config(configuration)
    assert configuration["available_node_types"]["head"]["resources"]["CPU"] == 0
    starts = [line for key in ("head", "worker") for line in configuration[f"{key}_start_ray_commands"] if "ray start" in line]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token" in line for line in starts)
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_the_kubernetes_file_asks_for_a_token_and_serves_nobody_outside() -> None:
    cluster = yaml.safe_load((REPOSITORY / "platform/deploy/kuberay.yaml").read_text())["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["serviceType"] == "ClusterIP"


def test_a_job_s_snapshot_is_small_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "snapshot.zip"
    names = snapshot(REPOSITORY, target, runtime_environment()["excludes"])
    assert target.stat().st_size < 5 * MEBIBYTE
    assert {"medvlp/data/sample.py", "platform/scaleout/local.py", "pyproject.toml"} <= set(names)
    assert not [name for name in names if name.startswith((".venv", ".git/")) or "__pycache__" in name]


@pytest.mark.parametrize("by", ["runtime_env.yaml", ".rayignore"])
def test_what_is_left_out_of_a_snapshot(by: str, tmp_path: Path) -> None:
    unwanted = [
        ".venv/bin/python",
        ".git/config",
        "results/run/run.json",
        "data/image.jpg",
        "mlruns/meta",
        "mlflow.db",
        "a/__pycache__/a.pyc",
    ]
    wanted = ["medvlp/data/sample.py", "tests/data/phantom.json", "jobs/pretrain.py"]
    for name in [*unwanted, *wanted]:
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if by == ".rayignore":
        (tmp_path / "tree" / by).write_text((REPOSITORY / by).read_text())
    excludes = runtime_environment()["excludes"] if by == "runtime_env.yaml" else []
    names = snapshot(tmp_path / "tree", tmp_path / "snapshot.zip", excludes)
    assert sorted(name for name in names if not name.endswith(("/", ".rayignore"))) == sorted(wanted)


def test_no_file_names_a_folder_of_the_machine_it_was_written_on() -> None:
    # Put together here, so that this file does not contain them.
    machine_paths = re.compile("|".join(f"/{name}/" for name in ("work", "root", "Users")))
    guilty = [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()[:80]}"
        for path in tracked_files()
        if path.suffix in {".py", ".md", ".yaml", ".yml", ".toml", ".json", ".obo", ".sh", ""}
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        if machine_paths.search(line)
    ]
    assert not guilty, "\n".join(guilty)
