"""Search the weights of the pretext objectives: Ray Tune runs many pre-trainings and stops the weak ones early."""

from scaleout.cli import run_job
from scaleout.studies.sweep.config import SweepConfig
from scaleout.studies.sweep.report import sweep_card
from scaleout.studies.sweep.search import SweepOutcome, search


def sweep(config: SweepConfig) -> SweepOutcome:
    """Pre-train with many weights of the pretext objectives, and rank them by a score that does not depend on the weights.

    Takes every option of jobs/pretrain.py, shared by all trials, and the options under ``sweep``. Each trial is an ordinary run named
    NAME-NUMBER. The same name with the same configuration continues with the unfinished trials.
    """
    outcome = search(config)
    print(sweep_card(outcome))
    return outcome


if __name__ == "__main__":
    run_job(sweep)
