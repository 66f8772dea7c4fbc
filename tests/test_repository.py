"""The repository itself: what its layout, its lists and its cluster files promise."""

import logging
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[1]
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
    requirements = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    declared = {re.split(r"[<>=!~;\s]", requirement)[0] for requirement in requirements}
    justified = set(re.findall(r"^\| `([^`]+)` \|", (REPOSITORY / "docs" / "dependencies.md").read_text(), re.MULTILINE))
    assert justified == declared


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
