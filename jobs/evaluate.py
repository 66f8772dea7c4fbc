"""Evaluate a trained model on a whole split, on all workers."""

from medvlp.errors import ConfigurationError
from scaleout.cli import run_job
from scaleout.io.storage import absolute, join
from scaleout.launch.evaluate import EVALUATIONS_FOLDER, Evaluation, Subject
from scaleout.launch.evaluate import evaluate as evaluate_subject
from scaleout.launch.report import metrics_table
from scaleout.runs.config import CorpusConfig


def evaluate(
    *,
    run: str | None = None,
    storage: str | None = None,
    checkpoint: str = "last",
    model: str | None = None,
    split: str = "test",
    shards: str | None = None,
    links: str | None = None,
    output: str | None = None,
    workers: int | None = None,
    micro_batch: int | None = None,
) -> Evaluation:
    """Evaluate a trained model on a whole split, on all workers.

    Writes metrics.json and samples.parquet, a row for each sample, into RUN/evaluations/SPLIT-step-NUMBER, and the metrics into the
    run's MLflow run. The results do not depend on the number of workers.

    Args:
        run: Name of the run, with --storage; or the URI of a run or of one of its checkpoints.
        storage: Folder with all runs, or s3://bucket/folder.
        checkpoint: Of the run: last, best (by train.best_metric), or the number of a step.
        model: A model folder that jobs/export.py wrote, in place of a run; name --shards, --links and --output too.
        split: Which split: validation, test …
        shards: Other shards than the run's.
        links: The links of these shards.
        output: Where the results go; by default the run's folder.
        workers: How many workers share the samples; as in training by default.
        micro_batch: Samples of one forward; as in training by default.
    """
    subject, below = _subject(run, storage, checkpoint, model, shards, links)
    evaluation = evaluate_subject(subject, split, absolute(output) if output else below, workers=workers, micro_batch=micro_batch)
    print("\n".join(metrics_table(split, evaluation.metrics, evaluation.task)))
    print(f"metrics and samples: {evaluation.folder}")
    return evaluation


def _subject(
    run: str | None, storage: str | None, checkpoint: str, model: str | None, shards: str | None, links: str | None
) -> tuple[Subject, str]:
    """What is evaluated, and where the results go by default."""
    if (run is None) == (model is None):
        raise ConfigurationError("name either a run (--run, --storage) or a model folder (--model)")
    if (shards is None) != (links is None):
        raise ConfigurationError("shards and links belong together: give both --shards and --links, or none for the run's own")
    corpus = CorpusConfig(shards=absolute(shards), links=absolute(links)) if shards and links else None
    if run is not None:
        folder = absolute(join(storage, run) if storage else run)
        subject = Subject.of_run(folder, checkpoint)
        return (subject.on(corpus) if corpus else subject), join(subject.config.storage, subject.name, EVALUATIONS_FOLDER)
    if corpus is None:
        raise ConfigurationError("a model folder has no data of its own: name --shards and --links")
    assert model is not None
    return Subject.of_model(absolute(model), corpus), join(absolute(model), EVALUATIONS_FOLDER)


if __name__ == "__main__":
    run_job(evaluate)
