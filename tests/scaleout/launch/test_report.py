"""The end of a run in a few lines."""

from medvlp.tasks.pretrain.task import Pretraining
from scaleout.launch.launch import Outcome
from scaleout.launch.report import outcome_card, ui_command


def outcome(metrics: dict[str, float], uri: str = "sqlite:////runs/mlflow.db") -> Outcome:
    return Outcome("/runs/a/checkpoints/step-00000010", metrics, uri, "m1")


def test_figures_stand_beside_what_the_modality_alone_reaches() -> None:
    card = outcome_card(
        outcome({"val/align_image_auroc": 0.81234, "val/modality_only_align_image_auroc": 0.5, "val/mim_loss": 0.9}), Pretraining()
    )
    auroc, mim = (next(line for line in card.splitlines() if start in line) for start in ("image, AUROC", "reconstruction"))
    assert auroc.split()[-2:] == ["0.812", "0.500"]
    assert mim.split()[-1] == "0.900"
    assert "match" not in card


def test_checkpoint_and_command_are_always_there() -> None:
    card = outcome_card(outcome({}), Pretraining())
    assert "checkpoint: /runs/a/checkpoints/step-00000010" in card
    assert "validation" not in card
    assert len(card.splitlines()) == 2


def test_passwords_of_a_server_are_not_shown() -> None:
    assert "secret" not in ui_command("https://me:secret@mlflow.example/x")
    assert "mlflow.example" in ui_command("https://me:secret@mlflow.example/x")
