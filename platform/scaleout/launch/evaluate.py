"""Evaluate a whole split on all workers: metrics as JSON, one record per sample as Parquet, and the metrics in MLflow."""

import json
import logging
import re
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from medvlp.errors import CheckpointError, MedvlpError
from medvlp.interchange.model_folder import CONFIG_FILE, KNOWLEDGE_FOLDER, TOKENIZER_FOLDER, load_model_folder
from medvlp.metrics.records import Records
from medvlp.model.weights import load_weights
from medvlp.redaction import redact_output
from medvlp.tasks.base import Task
from medvlp.values import unchecked
from scaleout.cluster import connect
from scaleout.io import storage
from scaleout.io.artefacts import instead
from scaleout.io.sidecar import pack_sidecar
from scaleout.runs.config import CorpusConfig, DataConfig, RunConfig, TrainConfig
from scaleout.runs.inputs import Inputs, check_fingerprints, evaluation_split, task_context, tokenizer_uri, with_moved_inputs
from scaleout.runs.opened import OpenedRun
from scaleout.runs.start import read_any_weights
from scaleout.stream.batches import cores_of_worker
from scaleout.stream.local import EvaluationBatches
from scaleout.tracking import log_evaluation, resolve_tracking_uri
from scaleout.train.evaluation import KEY, Evaluator, join_records

logger = logging.getLogger(__name__)

EVALUATIONS_FOLDER = "evaluations"
METRICS_FILE = "metrics.json"
SAMPLES_FILE = "samples.parquet"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """The model to evaluate: the weights of a run's checkpoint or of a model folder. It is sent to the workers."""

    config: RunConfig
    """The configuration of the run; for a model folder, the part that evaluation needs."""
    targets: Mapping[str, Any]
    weights: str
    """URI of a checkpoint, or of a model folder."""
    step: int
    name: str
    """Name of the run."""
    mlflow_run: str = ""
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    """Fingerprints of the knowledge and the tokenizer that the weights were trained with."""

    @classmethod
    def of_run(cls, run: str, checkpoint: str) -> "Subject":
        """Return the subject for a checkpoint ("last", "best" or a step) of the run at the URI ``run``.

        Raises:
            CheckpointError: there is none.
        """
        opened = OpenedRun.open(run, checkpoint)
        return cls(
            config=opened.config,
            targets=opened.record.targets,
            weights=opened.checkpoint,
            step=opened.progress.step,
            name=opened.config.name,
            mlflow_run=opened.record.mlflow_run,
            fingerprints=opened.record.fingerprints,
        )

    @classmethod
    def of_model(cls, folder: str, corpus: CorpusConfig) -> "Subject":
        """Return the subject for a model folder and the shards and links to evaluate it on.

        Raises:
            CheckpointError: there is no model, or it is damaged.
        """
        if not storage.exists(storage.join(folder, CONFIG_FILE)):
            raise CheckpointError(f"no model in {folder} ({CONFIG_FILE} is missing){instead(folder)}; make one with jobs/export.py")
        with storage.local_copy(folder) as local:
            model = load_model_folder(local).config
        data = DataConfig(shards=corpus.shards, links=corpus.links, tokenizer=storage.join(folder, TOKENIZER_FOLDER), **asdict(model.text))
        train = TrainConfig(max_steps=1, findings=list(model.finding_types))
        with unchecked():  # the name of the run may be older than the rule of names
            config = RunConfig(
                name=model.origin.run,
                storage=folder,
                knowledge=storage.join(folder, KNOWLEDGE_FOLDER),
                data=data,
                train=train,
                task=model.task,
                model=model.model,
            )
        return cls(
            config=config,
            targets=model.targets,
            weights=folder,
            step=model.origin.step,
            name=model.origin.run,
            fingerprints=model.origin.fingerprints,
        )

    def on(self, corpus: CorpusConfig) -> "Subject":
        """Return the same subject on other shards."""
        own = self.config.data
        with unchecked():  # a recorded configuration may be older than a rule
            data = replace(own, shards=corpus.shards, links=corpus.links, mixed_with=[], tokenizer=tokenizer_uri(own))
            return replace(self, config=replace(self.config, data=data))

    def moved(self, knowledge: str | None, tokenizer: str | None) -> "Subject":
        """Return the same subject with new locations of its knowledge bundle and its tokenizer."""
        return replace(self, config=with_moved_inputs(self.config, knowledge, tokenizer))


@dataclass(frozen=True)
class Evaluation:
    """The result of an evaluation."""

    folder: str
    """URI of the folder with both files."""
    metrics: dict[str, float]
    task: Task


def evaluate(subject: Subject, split: str, output: str, *, workers: int | None = None, micro_batch: int | None = None) -> Evaluation:
    """Evaluate all samples of a split and write metrics and records into a folder below ``output``.

    Args:
        subject: the model to evaluate.
        split: split of the main corpus of its configuration.
        output: URI of a folder.
        workers: number of workers; as in training if None. The results do not depend on it.
        micro_batch: samples per forward pass; as in training if None.

    Raises:
        MedvlpError: an error that the user can fix.
    """
    config = subject.config
    if micro_batch is not None:
        with unchecked():
            config = replace(config, train=replace(config.train, micro_batch=micro_batch, global_batch=micro_batch))
    subject = replace(subject, config=config)
    inputs = Inputs.open(config)
    check_fingerprints(subject.fingerprints, inputs.bundle, inputs.tokenizer, subject.weights)
    planned = evaluation_split(config, inputs, split)  # its error lists the existing splits
    count = max(1, min(workers or config.scale.workers, -(-planned.plan.rows // config.train.micro_batch)))
    storage.check_writable(output)
    records = _records(subject, split, count)
    context = task_context(config, inputs.tokenizer, inputs.bundle, subject.targets)
    metrics = config.task.summarise(context, records)
    folder = storage.join(output, f"{split}-step-{subject.step:08d}")
    facts = {"run": subject.name, "step": subject.step, "split": split, "samples": len(records[KEY]), "fingerprints": inputs.fingerprints}
    content = json.dumps({**facts, "metrics": metrics}, indent=1).encode()
    samples = pa.table({KEY: records[KEY], **config.task.sample_records(context, records)})
    storage.write_bytes(storage.join(folder, SAMPLES_FILE), pack_sidecar(samples))
    storage.write_bytes(storage.join(folder, METRICS_FILE), content)
    _track(subject, split, metrics, content)
    return Evaluation(folder, metrics, config.task)


def _records(subject: Subject, split: str, workers: int) -> Records:
    """Return the records of all samples, in the order of the split."""
    import ray

    from scaleout.workers.channel import find_user_error

    with connect():
        gpus = min(1.0, ray.cluster_resources().get("GPU", 0.0) / workers)
        share = ray.remote(_evaluate_share).options(num_cpus=subject.config.scale.cpus_per_worker, num_gpus=gpus)
        try:
            return join_records(ray.get([share.remote(subject, split, rank, workers) for rank in range(workers)]))
        except ray.exceptions.RayTaskError as error:
            raise find_user_error(error) or MedvlpError(str(error)) from error


def _evaluate_share(subject: Subject, split: str, rank: int, workers: int) -> Records:
    """Evaluate the share of one worker."""
    redact_output()
    config = subject.config
    threads = config.scale.threads or cores_of_worker(workers)
    torch.set_num_threads(threads)
    inputs = Inputs.open(config)
    context = task_context(config, inputs.tokenizer, inputs.bundle, subject.targets)
    context = replace(context, model=context.model.from_scratch())
    module = config.task.build(context)
    load_weights(module, read_any_weights(subject.weights), subject.weights)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    evaluator = Evaluator(
        task=config.task,
        context=context,
        batches=EvaluationBatches(
            split=evaluation_split(config, inputs, split),
            collate=config.task.collate(context, augment=False),
            micro_batch=config.train.micro_batch,
            rank=rank,
            workers=workers,
            processes=config.data.decoders(threads, uses_gpu=device.type == "cuda"),
        ),
        seed=config.train.seed,
    )
    return evaluator.evaluate(module.to(device).eval(), device)[0]


def _track(subject: Subject, split: str, metrics: Mapping[str, float], content: bytes) -> None:
    """Log the metrics and their file to the MLflow run; the sample records stay in the run's storage."""
    if not subject.mlflow_run:
        return
    uri = resolve_tracking_uri(subject.config.storage, subject.config.tracking.uri)
    prefix = re.sub(r"[^\w-]", "_", split)
    with tempfile.TemporaryDirectory(prefix="medvlp-evaluation-") as temporary:
        file = Path(temporary, METRICS_FILE)
        file.write_bytes(content)
        named = {f"{prefix}/{name}": value for name, value in metrics.items()}
        log_evaluation(uri, subject.mlflow_run, named, subject.step, file, f"{EVALUATIONS_FOLDER}/{prefix}-step-{subject.step:08d}")
