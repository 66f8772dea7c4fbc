"""The documentation site: every document and module is on it, and links lead where they lead in the repository."""

from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")

from tools import documentation
from tools.documentation import modules, prose, rewritten

PAGES = {"README.md": "index.md", "platform/deploy/README.md": "deploy/index.md", "docs/design/a.md": "design/a.md", "docs/b.md": "b.md"}


def test_every_document_has_a_page_of_its_own() -> None:
    pages = prose()
    assert {"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "platform/deploy/README.md"} <= pages.keys()
    assert {
        path.relative_to(documentation.REPOSITORY).as_posix() for path in (documentation.REPOSITORY / "docs").rglob("*.md")
    } <= pages.keys()
    assert len(set(pages.values())) == len(pages)


def test_every_module_and_job_has_a_page() -> None:
    known = modules()
    assert {"medvlp", "medvlp.data", "medvlp.data.sample", "scaleout.cli", "jobs", "jobs.pretrain"} <= known.keys()
    assert all(path.exists() for path in known.values())
    assert not [name for name in known if "__" in name]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*PAGES, "LICENSE", "docs/images/c.png", "tests/d.py"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(documentation, "REPOSITORY", tmp_path)


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    ("path", "written", "on_the_site"),
    [
        ("README.md", "[a](docs/design/a.md)", "[a](design/a.md)"),
        ("README.md", "[a](docs/design/a.md#part), [b](docs/b.md)", "[a](design/a.md#part), [b](b.md)"),
        ("README.md", "![c](docs/images/c.png)", "![c](images/c.png)"),
        ("README.md", "[`deploy`](platform/deploy/)", "[`deploy`](deploy/index.md)"),
        ("README.md", "[licence](LICENSE)", "[licence](source/LICENSE.md)"),
        ("docs/design/a.md", "[code](../../tests/d.py)", "[code](../source/tests/d.py.md)"),
        ("docs/design/a.md", "[home](../../README.md)", "[home](../index.md)"),
        ("platform/deploy/README.md", "[b](../../docs/b.md)", "[b](../b.md)"),
    ],
)
def test_links_lead_to_pages(path: str, written: str, on_the_site: str) -> None:
    assert rewritten(written, path, PAGES) == on_the_site


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize(
    "text",
    [
        "[gone](docs/gone.md)",
        "[outside](../README.md)",
        "[web](https://example.org/README.md)",
        "[part](#part)",
        "```\n[b](docs/b.md)\n```",
    ],
)
def test_other_links_and_code_stay(text: str) -> None:
    assert rewritten(text, "README.md", PAGES) == text
