"""Items: the same whether held or left in their file, and light to send."""

import pickle
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from medvlp.corpora.items import FileItems, HeldItems, Item
from medvlp.corpora.source.json_files import JsonLines
from medvlp.data.sample import Box, Label
from tests.medvlp.corpora.official.support import write_json_lines

LABELS = st.builds(Label, set=st.text(), value=st.text(), state=st.sampled_from(["positive", "negative", "uncertain"]))
ITEMS = st.builds(
    Item,
    image=st.text(),
    texts=st.lists(st.text(), max_size=3).map(tuple),
    source_id=st.text(),
    modality=st.text(),
    answers=st.lists(st.text(), max_size=2).map(tuple),
    labels=st.lists(LABELS, max_size=2).map(tuple),
    boxes=st.lists(st.builds(Box, st.text(), *[st.floats(0, 1)] * 4), max_size=2).map(tuple),
    group=st.text(),
    attributes=st.dictionaries(st.text(), st.one_of(st.integers(-5, 5), st.text(), st.lists(st.text())), max_size=2),
)


@given(items=st.lists(ITEMS, max_size=6))
def test_what_is_held_comes_back(items: list[Item]) -> None:
    held = pickle.loads(pickle.dumps(HeldItems.of(items)))
    assert [held[index] for index in range(len(held))] == items


def test_rows_left_in_their_file_are_read_when_they_are_needed(tmp_path: Path) -> None:
    file = JsonLines(tmp_path / "rows.jsonl")
    write_json_lines(file.path, ({"name": f"naïve {number}"} for number in range(9)))
    offsets = [row.offset for row in file.rows()]
    items = pickle.loads(pickle.dumps(FileItems(file, offsets[::-2], _item)))
    assert [item.source_id for item in (items[index] for index in range(len(items)))] == [f"naïve {number}" for number in (8, 6, 4, 2, 0)]


def test_columns_travel_outside_of_the_pickle_so_that_ray_can_share_them() -> None:
    held = HeldItems.of(
        Item(image=f"images/{number}.jpg", texts=("a text of some length",), source_id=str(number)) for number in range(5_000)
    )
    buffers: list[Any] = []
    content = pickle.dumps(held, protocol=5, buffer_callback=buffers.append)
    assert len(content) < 5_000
    assert len(pickle.loads(content, buffers=buffers)) == 5_000


def _item(row: dict[str, Any]) -> Item:
    return Item(image="", texts=(), source_id=row["name"])
