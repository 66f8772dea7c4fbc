"""The summary of a finished sweep as a table."""

from scaleout.launch.report import ui_command
from scaleout.studies.sweep.search import SweepOutcome


def sweep_card(outcome: SweepOutcome) -> str:
    """Return all trials, the best first, the checkpoint of the best one, and the command that opens the UI."""
    names = list(outcome.best.weights)
    width = max(len("trial"), *(len(trial.name) for trial in outcome.trials))
    lines = [f"{'trial':{width}}" + "".join(f"{name:>9}" for name in names) + f"{'steps':>9}{'score':>9}"]
    for trial in outcome.trials:
        weights = "".join(f"{trial.weights[name]:9.3f}" for name in names)
        lines.append(f"{trial.name:{width}}{weights}{trial.steps:9d}{trial.score:9.3f}" + ("" if trial.finished else "  stopped early"))
    lines += [f"{name} failed: {reason}" for name, reason in outcome.failed.items()]
    lines += [f"best: {outcome.best.name}", f"checkpoint: {outcome.best.checkpoint}"]
    return "\n".join([*lines, f"all trials under one run: {ui_command(outcome.tracking_uri)}"])
