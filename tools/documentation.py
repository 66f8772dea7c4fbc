"""Hooks for mkdocs: pages from outside docs/, a page for every module, links that work in the repository and on the site.

mkdocs calls the functions whose names begin with ``on_``. Nothing is listed by hand: a new document or module appears on the site, and a
link to a missing one fails the strict build.
"""

import ast
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = "docs"
PAGES_OF_THE_PROJECT = ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
SOURCE_ROOTS = {"medvlp": ".", "scaleout": "platform", "jobs": "."}
"""Top-level packages, each with its parent folder."""

_LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#]+)(?=[)\s#])")
_FENCE = re.compile(r"^\s*(```|~~~)")
_FOREIGN = re.compile(r"^[a-z][a-z0-9+.-]*:|^/")
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".json": "json", ".sh": "bash"}


def prose() -> dict[str, str]:
    """Return the repository path of every document, with its page on the site."""
    pages = {"README.md": "index.md"}
    pages |= {name: name.lower() for name in PAGES_OF_THE_PROJECT if (REPOSITORY / name).is_file()}
    deploy = sorted((REPOSITORY / "platform" / "deploy").glob("*.md"))
    pages |= {_in_repository(path): f"deploy/{'index' if path.stem == 'README' else path.stem}.md" for path in deploy}
    documents = sorted((REPOSITORY / DOCS).rglob("*.md"))
    return pages | {_in_repository(path): path.relative_to(REPOSITORY / DOCS).as_posix() for path in documents}


def modules() -> dict[str, Path]:
    """Return the dotted name of every package, module and job, with its file; a folder without ``__init__.py`` has itself."""
    found: dict[str, Path] = {}
    for package, root in SOURCE_ROOTS.items():
        folder = REPOSITORY / root / package
        found[package] = folder
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(REPOSITORY / root).with_suffix("").parts
            if parts[-1] == "__init__":
                parts = parts[:-1]
            if not any(part.startswith("_") for part in parts):
                found[".".join(parts)] = path
    return dict(sorted(found.items()))


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lay out the navigation."""
    pages = list(prose().values())
    folders = sorted({page.split("/")[0] for page in pages if "/" in page and not page.startswith("deploy/")}, reverse=True)
    project = [name.lower() for name in PAGES_OF_THE_PROJECT if name.lower() in pages]
    alone = [page for page in pages if "/" not in page and page != "index.md" and page not in project]
    config.nav = [
        {"Home": "index.md"},
        *({folder.capitalize(): [page for page in pages if page.startswith(f"{folder}/")]} for folder in folders),
        {"Measured": alone},
        {"Cluster": [page for page in pages if page.startswith("deploy/")]},
        {"Project": project},
        {"API": [_api_navigation(package, list(modules())) for package in SOURCE_ROOTS]},
    ]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add the pages from outside docs/."""
    pages = prose()
    for path, page in pages.items():
        if not path.startswith(f"{DOCS}/"):
            files.append(File.generated(config, page, content=(REPOSITORY / path).read_text()))
    for path in sorted(_linked_sources(pages)):
        source = File.generated(config, _source_page(path), content=_as_source(path), inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(source)
    known = modules()
    for name in known:
        files.append(File.generated(config, _api_page(name, list(known)), content=_api_content(name, known)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between files of the repository into links between pages."""
    pages = prose()
    path = next((path for path, name in pages.items() if name == page.file.src_uri), None)
    return markdown if path is None else rewritten(markdown, path, pages)


def rewritten(markdown: str, path: str, pages: dict[str, str]) -> str:
    """Rewrite the links in the document at ``path`` for its page; a dead link stays, and mkdocs reports it."""

    def replace(link: re.Match[str]) -> str:
        target = _resolved(link["target"], path)
        if target is None:
            return link["target"]
        return posixpath.relpath(_on_the_site(target, pages), posixpath.dirname(pages[path]) or ".")

    return "\n".join(_LINK.sub(replace, line) if is_prose else line for line, is_prose in _lines(markdown))


def _linked_sources(pages: dict[str, str]) -> set[str]:
    """Return the files of the repository that a document links to and that are not pages or pictures of docs/."""
    linked: set[str] = set()
    for path in pages:
        for line, is_prose in _lines((REPOSITORY / path).read_text()):
            targets = [_resolved(link["target"], path) for link in _LINK.finditer(line)] if is_prose else []
            linked.update(target for target in targets if target and target not in pages and not target.startswith(f"{DOCS}/"))
    return linked


def _lines(markdown: str) -> Iterator[tuple[str, bool]]:
    """Yield every line, and whether it is outside fenced code."""
    fenced = False
    for line in markdown.split("\n"):
        fence = bool(_FENCE.match(line))
        yield line, not fenced and not fence
        fenced ^= fence


def _resolved(target: str, path: str) -> str | None:
    """Return the repository file of a link in the document at ``path``; None if it is external or dead."""
    if _FOREIGN.match(target):
        return None
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if (REPOSITORY / resolved).is_dir():
        resolved = posixpath.join(resolved, "README.md")
    return resolved if not resolved.startswith("..") and (REPOSITORY / resolved).is_file() else None


def _on_the_site(path: str, pages: dict[str, str]) -> str:
    if path in pages:
        return pages[path]
    return path.removeprefix(f"{DOCS}/") if path.startswith(f"{DOCS}/") else _source_page(path)


def _source_page(path: str) -> str:
    return f"source/{path}.md"


def _as_source(path: str) -> str:
    language = _LANGUAGES.get(Path(path).suffix, "text")
    return f"# `{path}`\n\n~~~~~~ {language}\n{(REPOSITORY / path).read_text()}\n~~~~~~\n"


def _api_page(name: str, known: list[str]) -> str:
    folder = f"api/{name.replace('.', '/')}"
    return f"{folder}/index.md" if _inside(name, known) else f"{folder}.md"


def _api_navigation(name: str, known: list[str]) -> dict[str, Any]:
    inside, page = _inside(name, known), _api_page(name, known)
    return {name.split(".")[-1]: [page, *(_api_navigation(each, known) for each in inside)] if inside else page}


def _api_content(name: str, known: dict[str, Path]) -> str:
    lines = [f"# `{name}`", ""]
    if known[name].is_file():
        lines += [f"::: {name}", ""]
    inside = _inside(name, list(known))
    if inside:
        lines += ["| module | |", "|---|---|"]
    for each in inside:
        page = posixpath.relpath(_api_page(each, list(known)), posixpath.dirname(_api_page(name, list(known))))
        lines.append(f"| [`{each.split('.')[-1]}`]({page}) | {_summary(known[each])} |")
    return "\n".join(lines)


def _inside(name: str, known: list[str]) -> list[str]:
    return [each for each in known if each.rpartition(".")[0] == name]


def _summary(path: Path) -> str:
    """Return the first sentence of a module's docstring, on one line."""
    text = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "") if path.is_file() else ""
    return " ".join(text.split("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def _in_repository(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()
