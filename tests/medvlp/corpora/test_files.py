"""Rows of tables: what is written is read, from the start and from the middle, and what was cut off is noticed."""

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.corpora.files import CsvFile, JsonLines, read_fields
from medvlp.errors import DataError

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\x00"), max_size=12)


@given(rows=st.lists(st.tuples(CELL, CELL, CELL).filter(lambda row: any(row)), min_size=1, max_size=12), mark=st.booleans())
def test_every_row_of_a_table_can_be_read_alone(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, ...]], mark: bool) -> None:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    with path.open("w", newline="", encoding="utf-8-sig" if mark else "utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("a", "b", "c"), *rows])
    table = CsvFile(path, ("a", "c"))
    found = list(table.rows())
    assert [tuple(row.values()) for _, row in found] == rows
    assert all(table.at(offset) == row for offset, row in reversed(found))


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


def test_other_encodings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes("a,b\nnaïve,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"table\.csv is not in UTF-8"):
        list(CsvFile(path).rows())
    with pytest.raises(DataError, match=r"table\.csv, line 2 is not in UTF-8"):
        list(read_fields(path, 2, ","))
    with pytest.raises(DataError, match=r"table\.csv, line 1 is not JSON"):
        list(JsonLines(path).rows())
