"""Rows of JSON: every value that JSON can hold is read as one that can be stored, or its row is bad."""

import json
from pathlib import Path

import pytest

from medvlp.corpora.source.json_files import DEEPEST, JsonLines, JsonList
from medvlp.errors import DataError


def deep(levels: int) -> str:
    """A row of so many levels."""
    return '{"a": ' * levels + "1" + "}" * levels


@pytest.mark.parametrize("kind", [JsonLines, JsonList])
@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a": "half \\ud83d", "\\ud83d": ["\\udc00"]}', {"a": "half \ufffd", "\ufffd": ["\ufffd"]}),
        ('{"a": "whole \\ud83d\\ude00"}', {"a": "whole 😀"}),
        ('{"a": NaN, "b": -Infinity, "c": 1e999}', {"a": None, "b": None, "c": None}),
        (deep(DEEPEST), json.loads(deep(DEEPEST))),
        (deep(DEEPEST + 1), None),
        ("[1]", None),
        ("null", None),
    ],
)
def test_a_row_is_read_as_what_can_be_stored(tmp_path: Path, kind: type, text: str, values: dict[str, object] | None) -> None:
    file = kind(tmp_path / "rows.json")
    file.path.write_text(f"{text}\n" if kind is JsonLines else f"[{text}]")
    (row,) = file.rows()
    assert (row.values, bool(row.fault)) == ((values, False) if values is not None else ({}, True))
    json.dumps(row.values, ensure_ascii=False).encode()


@pytest.mark.parametrize("line", [b"{broken}", b'{"a": "na\xefve"}', b"[" * 100_000, b"9" * 5_000])
def test_a_bad_line_is_between_the_others_but_a_bad_last_one_was_cut_off(tmp_path: Path, line: bytes) -> None:
    file = JsonLines(tmp_path / "rows.jsonl")
    file.path.write_bytes(line + b'\n\n{"a": 2}\n')
    assert [(row.line, row.values, bool(row.fault)) for row in file.rows()] == [(1, {}, True), (3, {"a": 2}, False)]
    file.path.write_bytes(b'{"a": 2}\n' + line)
    with pytest.raises(DataError, match=r"rows\.jsonl, line 2 is .*; it is the last one: was the file cut off"):
        list(file.rows())


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b'["na\xefve"]', b'{"a": 1}'])
def test_a_file_that_is_no_list_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "rows.json").write_bytes(content)
    with pytest.raises(DataError, match=r"rows\.json is "):
        list(JsonList(tmp_path / "rows.json").rows())
