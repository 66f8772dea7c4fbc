"""Fine-tune a trained model on a task, on the same loop as pre-training."""

from scaleout.cli import run_job
from scaleout.launch.launch import Outcome, launch
from scaleout.launch.report import outcome_card
from scaleout.runs.config import FinetuneConfig
from scaleout.runs.start import resolve_finetuning


def finetune(config: FinetuneConfig) -> Outcome:
    """Fine-tune a trained model on a task: --task vqa answers questions about images.

    Model, text sizes, tokenizer and knowledge come from the run, checkpoint or model folder given by --start_from; the answers come from
    the training questions. The same name with the same configuration resumes from the last complete checkpoint. If the run has finished,
    the job reports it.
    """
    outcome = launch(resolve_finetuning(config))
    print(outcome_card(outcome, config.task))
    return outcome


if __name__ == "__main__":
    run_job(finetune)
