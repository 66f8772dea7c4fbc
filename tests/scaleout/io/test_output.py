"""Output folders: whole or absent, and no file of the user is replaced unasked."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from medvlp.errors import ConfigurationError, DataError
from scaleout.io import storage
from scaleout.io.output import output_folder
from tests.conftest import SmallDisk


def write(output: str, *, overwrite: bool = False, fails: bool = False) -> None:
    with output_folder(output, last="config.json", overwrite=overwrite) as folder:
        (folder / "part").mkdir()
        (folder / "part" / "a.txt").write_text("new")
        (folder / "README.md").write_text("new")
        if fails:
            raise OSError(28, "No space left on device")
        (folder / "config.json").write_text("new")


def content(output: str) -> dict[str, str]:
    names = [*storage.list_names(output), *(f"part/{name}" for name in storage.list_names(storage.join(output, "part")))]
    return {name: storage.read_bytes(storage.join(output, name)).decode() for name in names if name != "part"}


NEW = {"README.md": "new", "config.json": "new", "part/a.txt": "new"}


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty folder, or the URI of one in a bucket."""
    return str(tmp_path) if request.param == "local" else f"{request.getfixturevalue('s3')}/{tmp_path.name}"


def test_the_files_are_there_when_all_are_written(root: str) -> None:
    output = f"{root}/new/folder"
    write(output)
    assert content(output) == NEW


def test_a_failure_leaves_nothing(root: str) -> None:
    for output in (f"{root}/new/folder", root):
        with pytest.raises(DataError, match=r"cannot write .*No space left on device"):
            write(output, fails=True)
    assert storage.list_names(root) == []


def test_a_folder_with_a_file_is_left_alone_unless_it_may_be_overwritten(root: str, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("README.md", "notes.txt"):
        storage.write_bytes(f"{root}/{name}", b"own")
    with pytest.raises(ConfigurationError, match=r"is not empty .README.md, notes.txt.: choose another --output, or add --overwrite"):
        write(root)
    with pytest.raises(DataError):
        write(root, overwrite=True, fails=True)
    assert content(root) == {"README.md": "own", "notes.txt": "own"}
    caplog.set_level("INFO")
    write(root, overwrite=True)
    assert content(root) == {**NEW, "notes.txt": "own"}
    assert f"replaced in {root}: README.md\n" in caplog.text


def test_an_upload_that_fails_leaves_nothing(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    output = f"{s3}/failing"

    def fail(uri: str, content: bytes) -> None:
        raise DataError(f"cannot write {uri}")

    monkeypatch.setattr(storage, "write_bytes", fail)
    monkeypatch.setattr(storage, "check_writable", lambda uri: None)
    with pytest.raises(DataError):
        write(output)
    assert storage.list_names(output) == []


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ConfigurationError, match="is a file: give a folder"):
        write(str(path))


def test_a_full_disk_is_one_sentence(small_disk: SmallDisk) -> None:
    small_disk.fill(left=100_000)
    output = str(small_disk.folder / "model")
    with (
        pytest.raises(DataError, match=r"cannot write .*No space left"),
        output_folder(output, last="a", overwrite=False) as folder,
    ):
        save_file({"weights": torch.zeros(10**6)}, folder / "a")
    assert not Path(output).exists()


def test_looking_whether_a_folder_can_be_written_makes_none(tmp_path: Path) -> None:
    storage.check_writable(tmp_path / "new" / "folder")
    assert list(tmp_path.iterdir()) == []
