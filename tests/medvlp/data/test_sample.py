"""The table of fields: every row type and schema has its columns, and values come back as they were."""

import dataclasses
import json

import pyarrow as pa
import pytest

from medvlp.corpora.items import Item
from medvlp.data.sample import ROW_COLUMNS, SAMPLE_COLUMNS, SAMPLE_SCHEMA, Box, Label, Sample, StreamRow, from_columns, to_columns
from scaleout.shards.sidecar import SIDECAR_SCHEMA
from scaleout.stream.rows import ROW_SCHEMA

SAMPLE = Sample(
    image=b"encoded",
    texts=("a text", "naïve ☃"),
    source_id="a1",
    answers=("yes", "it is"),
    labels=(Label("chexpert", "Edema", "uncertain"), Label("side", "left")),
    boxes=(Box("nodule", 0.0, 0.25, 0.5, 1.0),),
    attributes={"view": "PA", "nested": {"of": [1, None]}},
)


@pytest.mark.parametrize(
    ("table", "own"),
    [(Sample, {"image"}), (Item, {"image"}), (SAMPLE_SCHEMA, {"key", "image"}), (SIDECAR_SCHEMA, {"key", "hash"})],
)
def test_all_that_a_sample_says_is_everywhere(table: type | pa.Schema, own: set[str]) -> None:
    names = table.names if isinstance(table, pa.Schema) else [field.name for field in dataclasses.fields(table)]
    assert set(names) - own == set(SAMPLE_COLUMNS)


def test_rows_have_what_is_passed_on() -> None:
    assert {"texts", "source_id"} == SAMPLE_COLUMNS.keys() - ROW_COLUMNS.keys()
    assert ROW_COLUMNS.keys() <= {field.name for field in dataclasses.fields(StreamRow)}
    assert all(ROW_SCHEMA.field(name).type == column for name, column in ROW_COLUMNS.items())


def test_values_come_back_from_arrow_and_from_json() -> None:
    columns = to_columns(SAMPLE)
    table = pa.Table.from_pylist([columns], schema=pa.schema(list(SAMPLE_COLUMNS.items())))
    for values in (columns, table.to_pylist()[0], json.loads(SAMPLE.metadata())):
        assert Sample(image=b"encoded", **from_columns(values)) == SAMPLE


def test_every_member_has_the_same_fields_of_the_same_types() -> None:
    """So that a reader which takes its schema from the first samples loses nothing of the others."""
    bare = Sample(image=b"", texts=("a",), source_id="b")
    for name, value in json.loads(bare.metadata()).items():
        assert type(value) is type(json.loads(SAMPLE.metadata())[name])


def test_the_reference_is_the_first_answer() -> None:
    assert SAMPLE.answer == "yes"
    assert dataclasses.replace(SAMPLE, answers=()).answer == ""
