"""Evaluate a trained model on a whole split, on all workers."""

from medvlp.errors import ConfigurationError
from medvlp.values import Count
from scaleout.cli import run_job
from scaleout.io.places import Place, absolute, check_name
from scaleout.io.storage import join
from scaleout.launch.evaluate import EVALUATIONS_FOLDER, Evaluation, Subject
from scaleout.launch.evaluate import evaluate as evaluate_subject
from scaleout.launch.report import metrics_table
from scaleout.runs.config import CorpusConfig


def evaluate(
    *,
    run: Place | None = None,
    storage: Place | None = None,
    checkpoint: str = "last",
    model: Place | None = None,
    split: str = "test",
    shards: Place | None = None,
    links: Place | None = None,
    knowledge: Place | None = None,
    tokenizer: Place | None = None,
    output: Place | None = None,
    workers: Count | None = None,
    micro_batch: Count | None = None,
) -> Evaluation:
    """Evaluate a trained model on a whole split, on all workers.

    Writes metrics.json and samples.parquet (one row per sample) to RUN/evaluations/SPLIT-step-NUMBER, and logs the metrics to the run's
    MLflow run. The results do not depend on the number of workers.

    Args:
        run: Name of the run, with --storage; or the URI of a run or of one of its checkpoints.
        storage: Folder with all runs, or s3://bucket/folder.
        checkpoint: Checkpoint of the run: last, best (by train.best_metric) or a step number.
        model: Model folder written by jobs/export.py, instead of a run; give --shards and --links too.
        split: Split to evaluate: validation, test …
        shards: Shards to use instead of the run's.
        links: Links of these shards.
        knowledge: New location of the knowledge bundle, if it was moved.
        tokenizer: New location of the tokenizer, if it was moved; the shards of the training contain it by default.
        output: Folder for the results; by default below the run or the model folder.
        workers: Number of workers; by default as in training.
        micro_batch: Samples per forward pass; by default as in training.
    """
    subject, below = _subject(run, storage, checkpoint, model, shards, links)
    subject = subject.moved(knowledge, tokenizer)
    evaluation = evaluate_subject(subject, split, absolute(output) if output else below, workers=workers, micro_batch=micro_batch)
    print("\n".join(metrics_table(split, evaluation.metrics, evaluation.task)))
    print(f"metrics and samples: {evaluation.folder}")
    return evaluation


def _subject(
    run: str | None, storage: str | None, checkpoint: str, model: str | None, shards: str | None, links: str | None
) -> tuple[Subject, str]:
    """Return what to evaluate and the default folder for the results."""
    if (run is None) == (model is None):
        raise ConfigurationError("name either a run (--run, --storage) or a model folder (--model)")
    if (shards is None) != (links is None):
        raise ConfigurationError("shards and links belong together: give both --shards and --links, or neither to use the run's own")
    corpus = CorpusConfig(shards=absolute(shards), links=absolute(links)) if shards and links else None
    if run is not None:
        if storage:
            check_name(run, "run")
        folder = absolute(join(storage, run) if storage else run)
        subject = Subject.of_run(folder, checkpoint)
        return (subject.on(corpus) if corpus else subject), join(subject.config.storage, subject.name, EVALUATIONS_FOLDER)
    if corpus is None:
        raise ConfigurationError("a model folder contains no data: give --shards and --links")
    assert model is not None
    return Subject.of_model(absolute(model), corpus), join(absolute(model), EVALUATIONS_FOLDER)


if __name__ == "__main__":
    run_job(evaluate)
