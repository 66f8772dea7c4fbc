"""What a reader passes over in a file: counted by kind, reported with file and line."""

import codecs
import logging
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

_SHOWN_LINES = 5


class Defects:
    """The defects of one file: a bad line costs that line, never the file."""

    def __init__(self, path: Path):
        self.path = path
        self._lines: dict[str, list[int]] = {}

    def add(self, kind: str, line: int) -> None:
        """Count a defect; ``kind`` says what it is and what becomes of it."""
        self._lines.setdefault(kind, []).append(line)

    def counts(self) -> dict[str, int]:
        """Return the number of defects of each kind."""
        return {kind: len(lines) for kind, lines in self._lines.items()}

    def report(self) -> None:
        """Log all kinds in one warning, if there is any."""
        if self._lines:
            logger.warning("%s: %s", self.path, self)

    def __str__(self) -> str:
        return "; ".join(f"{kind}: {len(lines)} ({_places(lines)})" for kind, lines in self._lines.items())


def _places(lines: list[int]) -> str:
    shown = ", ".join(map(str, lines[:_SHOWN_LINES]))
    return f"line{'s' if len(lines) > 1 else ''} {shown}{', …' if len(lines) > _SHOWN_LINES else ''}"


def text_lines(path: Path, defects: Defects) -> Iterator[tuple[int, str]]:
    """Yield number and text of every line of a UTF-8 file, without line breaks and byte order mark; other lines are defects.

    A carriage return ends a line only where it precedes a line feed, or in a file without line feeds.
    """
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8).replace(b"\r\n", b"\n")
    if b"\n" not in content:
        content = content.replace(b"\r", b"\n")
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            yield number, line.decode("utf-8")
        except UnicodeDecodeError:
            defects.add("lines that are not UTF-8, left out (convert the file)", number)
