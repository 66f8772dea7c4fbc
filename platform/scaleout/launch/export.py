"""Export a run as a folder that ``medvlp.load`` reads."""

from pathlib import Path

from medvlp.interchange.model_folder import CONFIG_FILE, ModelFolderConfig, Origin, save_model_folder
from scaleout.checkpoint.read import read_weights
from scaleout.io import storage
from scaleout.io.output import check_free, output_folder
from scaleout.runs.inputs import check_fingerprints, open_knowledge, open_tokenizer, task_context, with_moved_inputs
from scaleout.runs.opened import OpenedRun
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import decode_metrics, read_records


def export_run(
    run: str,
    output: str,
    *,
    checkpoint: str = "last",
    knowledge: str | None = None,
    tokenizer: str | None = None,
    overwrite: bool = False,
) -> ModelFolderConfig:
    """Write a checkpoint of a run as a model folder.

    Args:
        run: URI of the run's folder, or of one of its checkpoints.
        output: URI of the folder to make.
        checkpoint: checkpoint of the run: "last", "best" or a step number.
        knowledge: new URI of the run's knowledge bundle, if it was moved.
        tokenizer: new location of the run's tokenizer, if it was moved.
        overwrite: whether files in ``output`` may be replaced.

    Raises:
        CheckpointError: there is no such checkpoint, or its tokenizer or knowledge was changed.
        ConfigurationError: ``output`` is not empty, or there is no tokenizer.
        KnowledgeError: there is no knowledge bundle.
    """
    check_free(output, overwrite=overwrite)
    opened = OpenedRun.open(run, checkpoint)
    config = with_moved_inputs(opened.config, knowledge, tokenizer)
    bundle, own_tokenizer = open_knowledge(config.knowledge), open_tokenizer(config.data)
    check_fingerprints(opened.record.fingerprints, bundle, own_tokenizer, f"run {opened.folder}")
    context = task_context(config, own_tokenizer, bundle, opened.record.targets)
    exported = ModelFolderConfig(
        task=config.task,
        targets=opened.record.targets,
        model=config.model.from_scratch(),
        image=context.image,
        text=context.text,
        finding_types=context.finding_types,
        origin=_origin(opened),
    )
    with output_folder(output, last=CONFIG_FILE, overwrite=overwrite) as folder:
        save_model_folder(folder, exported, read_weights(opened.checkpoint), own_tokenizer, bundle)
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
