"""Whatever value a field of a release has: samples that can be stored and counts that add up, or an error that names the place."""

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medvlp.corpora.registry import CORPORA, open_corpus
from medvlp.data.sample import SAMPLE_SCHEMA, to_columns
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import read
from tests.medvlp.corpora.releases import INDEX_FILES, RELEASES, changed

SCALARS: list[Any] = [
    None,
    True,
    0,
    -1,
    2.5,
    float("nan"),
    float("inf"),
    10**400,
    "",
    " ",
    "nan",
    "null",
    "\ud83d",
    "a\0b",
    "\ufeff",
    "胸部",
]
PATHS = ["..", "../x", "/etc/passwd", ".", "a/b", "x" * 300, "a#b", "(a)", "|", "\t", '"', '\\"', "\u2028"]
NESTED: list[Any] = [[], [None], ["a", None, 5], {}, {"a": [1]}, [[["a"]]]]
VALUES = st.one_of(st.sampled_from([*SCALARS, *PATHS, *NESTED]), st.text(), st.integers(), st.lists(st.text(), max_size=3))


@pytest.mark.parametrize("name", RELEASES)
def test_a_release_with_changed_fields(name: str, tmp_path: Path) -> None:
    make, options, rows = RELEASES[name]
    make(tmp_path)
    files = {path: path.read_text() for path in sorted(tmp_path.rglob("*")) if path.suffix in INDEX_FILES}
    outcomes: Counter[str] = Counter()

    @settings(suppress_health_check=[HealthCheck.too_slow])
    @given(
        path=st.sampled_from(list(files)), places=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 20), VALUES), min_size=1, max_size=2)
    )
    def check(path: Path, places: list[tuple[int, int, Any]]) -> None:
        content = files[path]
        try:
            for row, column, value in places:
                content = changed(path, content, row, column, value)
            path.write_text(content, encoding="utf-8", errors="replace")
            blank = sum(isinstance(value, str) and not value.strip() for _, _, value in places)  # a row of such cells is no row
            outcomes[outcome(name, tmp_path, options, range(rows - blank, rows + 1))] += 1
        finally:
            path.write_text(files[path])

    check()
    assert outcomes["samples"] >= 0.3 * outcomes.total()


def outcome(name: str, root: Path, options: dict[str, Any], rows: range) -> str:
    """Open the release and read all its samples."""
    message = ""
    try:
        corpus = open_corpus(name, root, **options)
        samples, dropped = read(corpus)
    except DataError as error:
        message = str(error)
    if message:
        assert str(root) in message
        return "refused"
    every = [sample for of_split in samples.values() for sample in of_split]
    columns = [{"key": "", "image": sample.image, **to_columns(sample)} for sample in every]
    pa.Table.from_pylist(columns, schema=SAMPLE_SCHEMA)
    assert all(sample.metadata() for sample in every)
    if name != "iu-xray":  # a broken report counts once, and has two images
        assert len(every) + dropped.total() + sum(corpus.left_out.values()) in rows
    return "samples" if every else "none"


@pytest.mark.parametrize("place", ["medvlp.corpora.source.folder.SourceFolder.note_image", "medvlp.corpora.file_corpus.is_dicom"])
@pytest.mark.parametrize("name", RELEASES)
def test_a_mistake_in_a_reader_is_seen(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    def planted(*arguments: object) -> None:
        raise TypeError("planted")

    make, options, _ = RELEASES[name]
    make(tmp_path)
    monkeypatch.setattr(place, planted)
    with pytest.raises(TypeError, match="planted"):
        read(open_corpus(name, tmp_path, **options))


def test_every_reader_has_a_release() -> None:
    assert set(RELEASES) == {name for name in CORPORA if not name.startswith("phantom")}
