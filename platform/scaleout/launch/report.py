"""The end of a run as a few lines: what was learned, where it is, and how to look at it."""

from scaleout.launch.launch import Outcome
from scaleout.tracking import redacted

_ROWS = (
    ("findings from the image, AUROC", "align_image_auroc", "modality_only_align_image_auroc"),
    ("findings from the image, F1", "align_image_f1", "modality_only_align_image_f1"),
    ("findings from the text, AUROC", "align_text_auroc", "modality_only_align_text_auroc"),
    ("findings from the text, F1", "align_text_f1", "modality_only_align_text_f1"),
    ("image and text match, accuracy", "itm_accuracy", "modality_only_itm_accuracy"),
    ("masked tokens, accuracy", "mlm_accuracy", None),
    ("masked entities, true image", "mlm_entity_accuracy", "modality_only_mlm_entity_accuracy"),
    ("masked entities, shuffled image", "mlm_entity_accuracy_shuffled_image", None),
    ("reconstruction, squared error", "mim_loss", None),
    ("answers, accuracy", "answer_accuracy", "majority_answer_accuracy"),
    ("answers, shuffled image", "answer_accuracy_shuffled_image", None),
)


def outcome_card(outcome: Outcome) -> str:
    """The last validation beside what a predictor without the image reaches, the checkpoint, and the command of the UI."""
    lines = []
    if outcome.metrics:
        lines = [f"{'validation':36}{'this run':>10}{'without image':>16}"]
        for label, name, baseline in _ROWS:
            value = outcome.metrics.get(f"val/{name}")
            if value is not None:
                beside = outcome.metrics.get(f"val/{baseline}")
                lines.append(f"{label:36}{value:10.3f}" + (f"{beside:16.3f}" if beside is not None else ""))
    lines += [f"checkpoint: {outcome.checkpoint}", f"curves and pictures: {ui_command(outcome.tracking_uri)}"]
    return "\n".join(lines)


def ui_command(tracking_uri: str) -> str:
    """How to look at the run in MLflow."""
    if tracking_uri.startswith("sqlite:"):
        return f"mlflow ui --backend-store-uri {tracking_uri}"
    return f"open {redacted(tracking_uri)}"
