"""A published checkpoint, through both jobs: imported, and trained further."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from jobs.import_weights import import_weights
from jobs.pretrain import pretrain
from medvlp.errors import CheckpointError, ConfigurationError
from medvlp.tasks.pretrain.module import PretrainingModule
from scaleout.checkpoint.read import read_weights
from scaleout.runs.inputs import Inputs, open_tokenizer
from tests.jobs.tiny import Artefacts, pretrain_config
from tests.medvlp.interchange.authors import meter_state


@pytest.mark.ray
@pytest.mark.slow
def test_pretraining_starts_from_meter(phantoms: Artefacts, ray_cluster: None, tmp_path: Path) -> None:
    config = pretrain_config(phantoms, "from-meter", tmp_path, "--train.max_steps", "1", "--train.optimiser.learning_rate", "1e-12")
    tokenizer = open_tokenizer(config.data)
    torch.manual_seed(5)
    sizes = {"vocabulary": len(tokenizer), "padding_id": tokenizer.pad_token_id}
    published = PretrainingModule(config.model, config.task, Inputs.open(config).bundle, **sizes)
    torch.save({"state_dict": meter_state(published), "epoch": 9}, tmp_path / "meter.ckpt")
    folder = str(tmp_path / "imported")
    import_weights(checkpoint=str(tmp_path / "meter.ckpt"), output=folder, model=config.model, masked_image=config.task.masked_image)
    outcome = pretrain(replace(config, start_from=folder))
    trained = read_weights(outcome.checkpoint)
    for name in ("arl.vision.input_norm.weight", "arl.fusion.layers.0.text_self_attention.query.weight", "masked_language.output.weight"):
        torch.testing.assert_close(trained[name], published.get_parameter(name).detach(), rtol=0, atol=1e-7)


def test_a_second_import_replaces_nothing_unasked(tmp_path: Path) -> None:
    (tmp_path / "README.md").touch()
    with pytest.raises(ConfigurationError, match=r"is not empty .README\.md.: choose another --output, or add --overwrite"):
        import_weights(checkpoint="x.ckpt", output=str(tmp_path))


def test_another_architecture_leaves_no_folder(tmp_path: Path) -> None:
    torch.save({"state_dict": {"encoder.weight": torch.zeros(2, 2)}}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match="not a checkpoint of METER, M3AE or ARL"):
        import_weights(checkpoint=str(tmp_path / "a.ckpt"), output=str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
