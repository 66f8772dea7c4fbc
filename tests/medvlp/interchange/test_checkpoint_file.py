"""Reading somebody else's files: weights come out, code never runs."""

import pickle
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from medvlp.errors import CheckpointError
from medvlp.interchange.checkpoint_file import read_checkpoint

WEIGHTS = {"layer.weight": torch.arange(6.0).view(2, 3)}


class Malicious:
    """A pickle that would create a file when it is read."""

    def __init__(self, target: Path):
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("content", [WEIGHTS, {"state_dict": WEIGHTS, "epoch": 3, "hyper_parameters": {"config": {"seed": 0}}}])
def test_weights_are_read(tmp_path: Path, content: dict[str, Any]) -> None:
    torch.save(content, tmp_path / "a.ckpt")
    assert torch.equal(read_checkpoint(tmp_path / "a.ckpt")["layer.weight"], WEIGHTS["layer.weight"])


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file(WEIGHTS, tmp_path / "a.safetensors")
    assert read_checkpoint(tmp_path / "a.safetensors").keys() == WEIGHTS.keys()


def test_objects_that_lightning_keeps_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its old versions save the state of callbacks under their classes."""
    package, name = "pytorch_lightning", "pytorch_lightning.callbacks"
    module = types.ModuleType(name)
    callback = type("ModelCheckpoint", (), {"__module__": name, "__init__": lambda self: setattr(self, "best", 0.5)})
    module.ModelCheckpoint = callback
    monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    monkeypatch.setitem(sys.modules, name, module)
    torch.save({"state_dict": WEIGHTS, "callbacks": {callback: {"best": 1.0}}, "kept": callback()}, tmp_path / "a.ckpt")
    monkeypatch.delitem(sys.modules, name)
    assert read_checkpoint(tmp_path / "a.ckpt").keys() == WEIGHTS.keys()
    assert name not in sys.modules


@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_refused_and_not_run(tmp_path: Path, legacy: bool) -> None:
    harmed = tmp_path / "harmed"
    torch.save({"state_dict": WEIGHTS, "extra": Malicious(harmed)}, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not legacy)
    with pytest.raises(CheckpointError, match="nothing was executed"):
        read_checkpoint(tmp_path / "a.ckpt")
    assert not harmed.exists()


def test_a_bare_pickle_with_code_is_refused_and_not_run(tmp_path: Path) -> None:
    harmed = tmp_path / "harmed"
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Malicious(harmed)))
    with pytest.raises(CheckpointError, match="nothing was executed; ask its authors for safetensors") as caught:
        read_checkpoint(tmp_path / "a.pt")
    assert "weights_only" not in str(caught.value)
    assert not harmed.exists()


@pytest.mark.parametrize("suffix", ["ckpt", "safetensors"])
def test_a_truncated_file_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "ckpt":
        torch.save({"state_dict": WEIGHTS}, path)
    else:
        save_file(WEIGHTS, path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CheckpointError, match=rf"a\.{suffix}.*(complete|damaged)"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{}, {"state_dict": {}}, [1, 2]])
def test_a_file_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="contains no weights"):
        read_checkpoint(tmp_path / "a.pt")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"there is no checkpoint .*a\.ckpt"):
        read_checkpoint(tmp_path / "a.ckpt")
