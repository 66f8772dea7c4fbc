"""Count lines of code, without blank lines, comments and docstrings, and files of every package: ``python tools/code_size.py``."""

import ast
import io
import subprocess
import tokenize
from collections import Counter
from pathlib import Path

MOST_FILES = 12
"""Maximum number of files in a package, not counting ``__init__.py``; a folder with one file per similar item may have more."""
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER, tokenize.ENCODING}


def code_lines(source: str) -> int:
    """Count the lines with code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        # A string as a statement: the docstring of a module, a class, a function or a field.
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def tracked_code() -> list[Path]:
    """Return the Python files of the project outside tests."""
    names = subprocess.run(["git", "ls-files", "*.py"], capture_output=True, text=True, check=True).stdout.split()
    return [Path(name) for name in names if not name.startswith("tests/") and Path(name).exists()]


def main() -> None:
    """Print lines and files of every package, and mark packages with too many files."""
    files = tracked_code()
    lines: Counter[str] = Counter()
    for file in files:
        lines[str(file.parent)] += code_lines(file.read_text())
    counts = Counter(str(file.parent) for file in files if file.name != "__init__.py")
    for folder in sorted(lines):
        print(f"{lines[folder]:6d} lines {counts[folder]:3d} files  {folder}" + ("  many" if counts[folder] > MOST_FILES else ""))
    print(f"{sum(lines.values()):6d} lines of code outside tests")


if __name__ == "__main__":
    main()
