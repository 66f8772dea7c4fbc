"""A run becomes a folder that ``medvlp.load`` reads."""

import tempfile
from pathlib import Path

from medvlp.errors import CheckpointError
from medvlp.interchange.model_folder import CONFIG_FILE, ModelFolderConfig, Origin, save_model_folder
from scaleout.checkpoint.read import read_weights
from scaleout.io import storage
from scaleout.runs.inputs import open_knowledge, open_tokenizer, task_context, tokenizer_fingerprint
from scaleout.runs.opened import OpenedRun
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import decode_metrics, read_records


def export_run(run: str, output: str, *, checkpoint: str = "last", overwrite: bool = False) -> ModelFolderConfig:
    """Write a checkpoint of a run as a model folder.

    Args:
        run: URI of the run's folder, or of one of its checkpoints.
        output: URI of the folder to make.
        checkpoint: of a run: "last", "best", or the number of a step.
        overwrite: whether a model that is there may be replaced.

    Raises:
        CheckpointError: there is no such checkpoint, its tokenizer or knowledge are no longer there, or another model is in ``output``.
    """
    if storage.exists(storage.join(output, CONFIG_FILE)) and not overwrite:
        raise CheckpointError(f"{output} holds a model already; choose another --output, or --overwrite")
    storage.check_writable(output)
    opened = OpenedRun.open(run, checkpoint)
    config = opened.config
    bundle, tokenizer = open_knowledge(config.knowledge), open_tokenizer(config.data)
    found = {"knowledge": bundle.fingerprint, "tokenizer": tokenizer_fingerprint(tokenizer)}
    for name, fingerprint in found.items():
        if opened.record.fingerprints.get(name) != fingerprint:
            raise CheckpointError(f"the {name} of run {opened.folder} was altered since it trained ({fingerprint}): put the old one back")
    context = task_context(config, tokenizer, bundle, opened.record.targets)
    exported = ModelFolderConfig(
        task=config.task,
        targets=opened.record.targets,
        model=config.model.from_scratch(),
        image=context.image,
        text=context.text,
        finding_types=context.finding_types,
        origin=_origin(opened),
    )
    with tempfile.TemporaryDirectory(prefix="medvlp-export-") as temporary:
        folder = Path(temporary, "model")  # of its own: copies take over modes, and a temporary folder is for nobody else
        save_model_folder(folder, exported, read_weights(opened.checkpoint), tokenizer, bundle)
        storage.upload_folder(folder, output)
    return exported


def _origin(opened: OpenedRun) -> Origin:
    config = opened.config
    return Origin(
        run=config.name,
        step=opened.progress.step,
        samples=opened.progress.position,
        fingerprints=opened.record.fingerprints,
        started_from="/".join((config.start_from or "").split("/")[-3:]),
        metrics=_last_validation(opened),
    )


def _last_validation(opened: OpenedRun) -> dict[str, float]:
    """The metrics of the last validation up to the checkpoint; none for a run whose curves lie elsewhere."""
    if storage.is_remote(opened.folder):
        return {}
    latest: dict[str, float] = {}
    for record in read_records(Path(opened.folder, METRICS_FILE)):
        if record["step"] <= opened.progress.step:
            values = decode_metrics(record["metrics"])
            latest |= {name.removeprefix("val/"): value for name, value in values.items() if name.startswith("val/")}
    return latest
