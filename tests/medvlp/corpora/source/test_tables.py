"""Rows of tables: what is written is read, from the start and from the middle, and what was cut off is noticed."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.corpora.source.tables import CsvFile, FieldFile, delimiter_called
from medvlp.errors import ConfigurationError, DataError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=12)


@given(rows=st.lists(st.tuples(CELL, CELL, CELL).filter(lambda row: any(map(str.strip, row))), min_size=1, max_size=12), mark=st.booleans())
def test_every_row_of_a_table_can_be_read_alone(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], mark: bool) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    with path.open("w", newline="", encoding="utf-8-sig" if mark else "utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b", "c"), *rows])
    table = CsvFile(path, ("a", "c"))
    found = list(table.rows())
    assert [tuple(row.values.values()) for row in found] == rows
    assert all(table.at(row.offset) == row.values for row in reversed(found))


WHOLE = b'a,b\n"first, row","1"\n"second\nrow","2"\n"third row","3"\n'
BETWEEN_ROWS = {3, 4, 20, 21, 37, 38, 53}
"""Lengths that end with a row, with or without its line feed."""
AFTER_A_COMMA = {17, 34, 50}
"""As a row whose last field is empty, which tables do have: nobody can tell."""


@given(length=st.integers(3, len(WHOLE) - 1).filter(lambda length: length not in BETWEEN_ROWS | AFTER_A_COMMA))
def test_a_table_that_was_cut_off_inside_of_a_row_is_an_error(tmp_path_factory: pytest.TempPathFactory, length: int) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    path.write_bytes(WHOLE[:length])
    with pytest.raises(DataError, match="was the file cut off"):
        list(CsvFile(path).rows())


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"na\xefve,1", "is not in UTF-8"),
        (b'"he said \\"large\\" today",1', "is not a row of a table: ',' expected"),
        (b"one", "has another number of fields than the header: 1, not 2"),
        (b"1,2,3", "has another number of fields than the header: 3, not 2"),
    ],
)
def test_a_row_that_cannot_be_read_has_its_line_and_the_next_ones_are_read(tmp_path: Path, line: bytes, fault: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(b'a,b\n"two\nlines",0\n' + line + b"\nlast,2\n")
    first, bad, last = CsvFile(path).rows()
    assert (first.values, last.values) == ({"a": "two\nlines", "b": "0"}, {"a": "last", "b": "2"})
    assert (bad.line, bad.values) == (4, {})
    assert bad.fault.startswith(fault)
    assert CsvFile(path).at(last.offset) == last.values


def test_rows_of_empty_cells_are_none_and_long_fields_are_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    report = "effusion " * 50_000
    path.write_text(f'a,b\n,\n"{report}",1\n  ,\t\n\n,,,\n')
    (row,) = CsvFile(path).rows()
    assert row.values == {"a": report, "b": "1"}


def test_lines_of_fields(tmp_path: Path) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"a|b|c|d\n\n||\na|b\nna\xefve|b|c\n")
    rows = list(FieldFile(path, ("x", "y", "z"), "|").rows())
    assert [(row.line, row.values) for row in rows] == [(1, {"x": "a", "y": "b", "z": "c|d"}), (4, {}), (5, {})]
    assert [row.fault.partition(":")[0] for row in rows] == ["", "has too few fields", "is not in UTF-8"]
    path.write_bytes(b"a|b|c\na|b")
    with pytest.raises(DataError, match=r"lines\.txt, line 2 has too few fields: 2, not 3; .*was the file cut off"):
        list(FieldFile(path, ("x", "y", "z"), "|").rows())


def test_a_delimiter_is_one_character_or_its_name() -> None:
    assert [delimiter_called(name) for name in ("\\t", "tab", "TAB", "\t", ";", " ")] == ["\t", "\t", "\t", "\t", ";", " "]
    for name in ("", ";;", '"', "\n", "\0", "none"):
        with pytest.raises(ConfigurationError, match="cannot separate fields; give one character"):
            delimiter_called(name)
