"""A run becomes a folder that ``medvlp.load`` reads."""

import tempfile
from pathlib import Path

from medvlp.errors import CheckpointError
from medvlp.interchange.model_folder import CONFIG_FILE, ExportedConfig, Origin, save_exported
from scaleout.checkpoint.store import read_weights
from scaleout.io import storage
from scaleout.runs.config import PretrainConfig, QuestionAnsweringConfig
from scaleout.runs.inputs import open_knowledge, open_tokenizer, tokenizer_fingerprint
from scaleout.runs.opened import OpenedRun
from scaleout.runs.start import ANSWERS, PRETRAIN
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import decode_metrics, read_records
from scaleout.train.pretraining import image_config, text_config


def export_run(run: str, output: str, *, overwrite: bool = False) -> ExportedConfig:
    """Write the newest checkpoint of a run as a model folder.

    Args:
        run: URI of the run's folder, or of one of its checkpoints.
        output: URI of the folder to make.
        overwrite: whether a model that is there may be replaced.

    Raises:
        CheckpointError: there is no checkpoint, its tokenizer or knowledge are no longer there, or another model is in ``output``.
    """
    if storage.exists(storage.join(output, CONFIG_FILE)) and not overwrite:
        raise CheckpointError(f"{output} holds a model already; choose another --output, or --overwrite")
    storage.check_writable(output)
    trained = OpenedRun.open(run)
    config = _open_config(trained)
    bundle, tokenizer = open_knowledge(config.knowledge), open_tokenizer(config.data)
    found = {"knowledge": bundle.fingerprint, "tokenizer": tokenizer_fingerprint(tokenizer)}
    for name, fingerprint in found.items():
        if trained.record.fingerprints.get(name) != fingerprint:
            raise CheckpointError(f"the {name} of run {trained.folder} was altered since it trained ({fingerprint}): put the old one back")
    exported = _exported_config(trained, config)
    with tempfile.TemporaryDirectory(prefix="medvlp-export-") as temporary:
        folder = Path(temporary, "model")  # of its own: copies take over modes, and a temporary folder is for nobody else
        save_exported(folder, exported, read_weights(trained.checkpoint), tokenizer, bundle)
        storage.upload_folder(folder, output)
    return exported


def _open_config(trained: OpenedRun) -> PretrainConfig | QuestionAnsweringConfig:
    return trained.config(PretrainConfig) if trained.record.kind == PRETRAIN else trained.config(QuestionAnsweringConfig)


def _exported_config(trained: OpenedRun, config: PretrainConfig | QuestionAnsweringConfig) -> ExportedConfig:
    pretext = config.pretext if isinstance(config, PretrainConfig) else None
    return ExportedConfig(
        model=config.model.from_scratch(),
        image=image_config(config, config.model.vision.image_size),
        text=text_config(config),
        pretext=pretext,
        answers=tuple(trained.record.details.get(ANSWERS, ())),
        finding_types=tuple(config.train.findings),
        origin=Origin(
            run=config.name,
            step=trained.progress.step,
            samples=trained.progress.position,
            fingerprints=trained.record.fingerprints,
            pretrained="" if isinstance(config, PretrainConfig) else "/".join(config.pretrained.split("/")[-3:]),
            metrics=_last_validation(trained),
        ),
    )


def _last_validation(trained: OpenedRun) -> dict[str, float]:
    """The metrics of the last validation up to the checkpoint; none for a run whose curves lie elsewhere."""
    if storage.is_remote(trained.folder):
        return {}
    latest: dict[str, float] = {}
    for record in read_records(Path(trained.folder, METRICS_FILE)):
        if record["step"] <= trained.progress.step:
            values = decode_metrics(record["metrics"])
            latest |= {name.removeprefix("val/"): value for name, value in values.items() if name.startswith("val/")}
    return latest
