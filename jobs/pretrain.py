"""Pre-train ARL: Ray Data streams shards joined with links and knowledge into DeepSpeed workers under Ray Train."""

from scaleout.cli import run_job
from scaleout.train.config import PretrainConfig
from scaleout.train.launch import Outcome, launch
from scaleout.train.pretraining import assemble_pretraining
from scaleout.train.report import outcome_card


def pretrain(config: PretrainConfig) -> Outcome:
    """Pre-train ARL on shards, links and a knowledge bundle.

    The same name with the same configuration resumes from the last complete checkpoint; a finished run says so.
    """
    outcome = launch("pretrain", config, assemble_pretraining)
    print(outcome_card(outcome))
    return outcome


if __name__ == "__main__":
    run_job(pretrain)
