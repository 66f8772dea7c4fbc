"""Pre-train ARL: Ray Data streams shards joined with links and knowledge into DeepSpeed workers under Ray Train."""

from scaleout.cli import run_job
from scaleout.launch.launch import Outcome, check, launch
from scaleout.launch.report import outcome_card
from scaleout.runs.config import RunConfig


def pretrain(config: RunConfig) -> Outcome:
    """Train to the last step, from the newest complete checkpoint if there is one. If the run has finished, report it."""
    outcome = launch(config)
    print(outcome_card(outcome, config.task))
    return outcome


def main(config: RunConfig, preflight: bool = False) -> None:
    """Pre-train ARL on shards, links and a knowledge bundle.

    The same name with the same configuration resumes from the last complete checkpoint. A finished run continues only if train.max_steps
    was raised.

    Args:
        config: The run.
        preflight: Only run the checks that precede every run; write nothing. Exit code 0, or a message that says what to change.
    """
    if preflight:
        check(config)
        print(f"run {config.name!r} passes all checks")
    else:
        pretrain(config)


if __name__ == "__main__":
    run_job(main)
