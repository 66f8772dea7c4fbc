"""What constraints.txt is written from."""

from email.message import Message
from importlib.metadata import Distribution, version
from typing import cast

import pytest

from tools.constraints import constraint, installed, requirements


class Package:
    """An installed package."""

    def __init__(self, version: str, python: str | None):
        self.version, self.metadata = version, Message()
        if python is not None:
            self.metadata["Requires-Python"] = python


@pytest.mark.parametrize(
    ("package", "line"),
    [
        (Package("2.13.0", None), "torch==2.13.0"),
        (Package("2.13.0+cpu", ">=3.10"), "torch==2.13.0"),
        (Package("2.13.0", ">=3.12,<4"), 'torch==2.13.0; python_full_version < "4" and python_full_version >= "3.12"'),
        (Package("2.13.0", ">=3.11.5"), 'torch==2.13.0; python_full_version >= "3.11.5"'),
    ],
)
def test_a_line_fits_every_build_and_only_the_pythons_that_can_have_it(package: Package, line: str) -> None:
    assert constraint("torch", cast(Distribution, package)) == line


def test_what_is_installed_for_the_project_is_listed_and_nothing_else() -> None:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    found = installed()
    assert {requirement.name.lower().replace("_", "-") for requirement in requirements()} <= found.keys()
    assert "botocore" in found, "dependencies of dependencies too"
    assert not {"pip", "medvlp"} & found.keys()
    assert found["ray"].version == version("ray")
