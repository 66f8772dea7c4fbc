"""Fine-tune a pre-trained model to answer questions about images, on the same loop as pre-training."""

from functools import partial

from scaleout.cli import run_job
from scaleout.launch.launch import Outcome, launch
from scaleout.launch.report import outcome_card
from scaleout.runs.config import FinetuneConfig
from scaleout.runs.start import FINETUNE, assemble_question_answering, resolve_finetuning


def finetune(config: FinetuneConfig) -> Outcome:
    """Fine-tune a pre-trained model to answer questions about images.

    Model, text sizes, tokenizer and knowledge are those of the pre-training run; the answers are those of the training
    questions. The same name with the same configuration resumes from the last complete checkpoint; a finished run says so.
    """
    run = resolve_finetuning(config)
    outcome = launch(FINETUNE, run.config, partial(assemble_question_answering, answers=run.answers), details=run.details)
    print(outcome_card(outcome))
    return outcome


if __name__ == "__main__":
    run_job(finetune)
