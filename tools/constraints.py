"""Print the versions of this project's dependencies in this environment, as constraints for pip. Used by ``make constraints``."""

import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[1]
EXTRAS = ("test", "docs")
"""Extras that ``make setup`` installs in addition to the dependencies of a run."""
PYTHONS = tuple(f"{minor}.{patch}" for minor in ("3.11", "3.12", "3.13") for patch in (0, 99))
"""The oldest and the newest patch release of every Python that pyproject.toml allows."""
HEADER = """\
# The versions with which CI passed, on Python {python}. Written by `make constraints`.
# pip installs nothing because it stands here: what is installed anyway gets the version that stands here."""


def requirements(extras: Iterable[str] = EXTRAS) -> list[Requirement]:
    """Return the requirements in pyproject.toml with these extras."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return [Requirement(line) for line in lines]


def installed() -> dict[str, Distribution]:
    """Return the direct and indirect dependencies in this environment by name, and no other packages."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, str]] = set()
    wanted = requirements()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) in seen:
                continue
            seen.add((name, extra))
            found[name] = distribution(name)
            for each in map(Requirement, found[name].requires or []):
                if each.marker is None or each.marker.evaluate({"extra": extra}):
                    wanted.append(each)
    return dict(sorted(found.items()))


def constraint(name: str, package: Distribution) -> str:
    """Return the constraint on the public version: ``torch==2.9.0`` allows ``2.9.0+cpu`` too.

    A version that refuses some of the supported Pythons, such as the older patch releases of 3.11, is unconstrained on these.
    """
    allowed = SpecifierSet(",".join(package.metadata.get_all("Requires-Python") or []))
    pinned = f"{name}=={Version(package.version).public}"
    if all(allowed.contains(python) for python in PYTHONS):
        return pinned
    return f"{pinned}; " + " and ".join(sorted(f'python_full_version {each.operator} "{each.version}"' for each in allowed))


if __name__ == "__main__":
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    print("\n".join([HEADER.format(python=python), *(constraint(name, package) for name, package in installed().items())]))
