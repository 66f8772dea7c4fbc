"""Export a run as a folder that ``medvlp.load`` reads."""

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
        checkpoint: checkpoint of the run: "last", "best" or a step number.
        overwrite: whether an existing model may be replaced.

    Raises:
        CheckpointError: there is no such checkpoint, its tokenizer or knowledge is missing, or ``output`` holds another model.
    """
    if storage.exists(storage.join(output, CONFIG_FILE)) and not overwrite:
        raise CheckpointError(f"{output} already holds a model; choose another --output, or add --overwrite")
    storage.check_writable(output)
    opened = OpenedRun.open(run, checkpoint)
    config = opened.config
    bundle, tokenizer = open_knowledge(config.knowledge), open_tokenizer(config.data)
    found = {"knowledge": bundle.fingerprint, "tokenizer": tokenizer_fingerprint(tokenizer)}
    for name, fingerprint in found.items():
        if opened.record.fingerprints.get(name) != fingerprint:
            raise CheckpointError(f"the {name} of run {opened.folder} was changed after training ({fingerprint}): restore the old one")
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
        folder = Path(temporary, "model")  # a subfolder: copies keep modes, and a temporary folder is readable only by its owner
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
    """Return the metrics of the last validation up to the checkpoint; empty for a run whose curves are stored elsewhere."""
    if storage.is_remote(opened.folder):
        return {}
    latest: dict[str, float] = {}
    for record in read_records(Path(opened.folder, METRICS_FILE)):
        if record["step"] <= opened.progress.step:
            values = decode_metrics(record["metrics"])
            latest |= {name.removeprefix("val/"): value for name, value in values.items() if name.startswith("val/")}
    return latest
