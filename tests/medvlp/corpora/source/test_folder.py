"""The folder of a corpus: whatever the data name lies inside of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.corpora.source.folder import SourceFolder, path_inside
from medvlp.errors import DataError


@given(name=st.text() | st.lists(st.sampled_from(["..", ".", "", "a", "/"])).map("/".join))
def test_no_name_leads_out(name: str) -> None:
    root = Path("/data/corpus")
    try:
        path = path_inside(root, name, "row 1")
    except DataError:
        return
    depth = 0
    for part in path.relative_to(root).parts:
        depth += -1 if part == ".." else 1
        assert depth > 0
    assert b"\0" not in str(path).encode()


def test_sizes_of_other_files_are_asked_for_inside_only(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "corpus").mkdir()
    folder = SourceFolder(tmp_path / "corpus", "some", "files")
    with pytest.raises(DataError, match=r"corpus 'some' names the file 'a/\.\./\.\./secret\.txt', which is not inside"):
        folder.note_size("a/../../secret.txt")
    assert folder.note_size("none.txt") is None
