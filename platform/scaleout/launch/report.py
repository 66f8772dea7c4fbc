"""The summary of a finished run: its metrics, its checkpoint, and how to view it."""

from collections.abc import Mapping

from medvlp.redaction import without_credentials
from medvlp.tasks.base import Task
from scaleout.launch.launch import Outcome


def outcome_card(outcome: Outcome, task: Task) -> str:
    """Return the last validation next to a baseline without the image, the checkpoint, and the command that opens the UI."""
    validation = {name.removeprefix("val/"): value for name, value in outcome.metrics.items()}
    lines = metrics_table("validation", validation, task) if validation else []
    return "\n".join([*lines, f"checkpoint: {outcome.checkpoint}", f"curves and pictures: {ui_command(outcome.tracking_uri)}"])


def metrics_table(title: str, metrics: Mapping[str, float], task: Task) -> list[str]:
    """Return the metrics that a task reports, each with its baseline, as lines."""
    lines = [f"{title:36}{'this run':>10}{'without image':>16}"]
    for row in task.rows():
        if row.metric in metrics:
            beside = metrics.get(row.baseline or "")
            lines.append(f"{row.label:36}{metrics[row.metric]:10.3f}" + (f"{beside:16.3f}" if beside is not None else ""))
    return lines


def ui_command(tracking_uri: str) -> str:
    """Return how to view the run in MLflow."""
    if tracking_uri.startswith("sqlite:"):
        return f"mlflow ui --backend-store-uri {tracking_uri}"
    return f"open {without_credentials(tracking_uri)}"
