"""Imported weights as a folder: ``weights.safetensors``, and ``import.json`` with the report on every parameter."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medvlp.data.foreign import plain_reasons
from medvlp.errors import CheckpointError
from medvlp.interchange.checkpoint_file import read_checkpoint
from medvlp.interchange.convert import ENTITY_VECTORS, ImportReport, convert, is_optional
from medvlp.interchange.digests import check_digests, warn_without_digests, write_digests
from medvlp.knowledge.bundle import Entity, KnowledgeBundle, Provenance
from medvlp.model.config import ARLConfig
from medvlp.model.weights import check_weights
from medvlp.tasks.pretrain.config import MaskedImageConfig
from medvlp.tasks.pretrain.task import Pretraining

FORMAT_VERSION = 1
WEIGHTS_FILE = "weights.safetensors"
REPORT_FILE = "import.json"
_WORDS = "language_encoder.embeddings.word_embeddings.weight", "text_transformer.embeddings.word_embeddings.weight"
_VECTORS = "align_head.x"
_MAKER = "jobs/import_weights.py"
_KNOWLEDGE_WIDTH = 256
"""The authors' value; for a checkpoint without knowledge it only decides which parameters are reported as missing."""


def import_checkpoint(
    checkpoint: Path, folder: Path, model: ARLConfig, masked_image: MaskedImageConfig, *, entity_vectors: bool = False
) -> ImportReport:
    """Write the weights of a checkpoint of METER, M3AE or ARL to ``folder``, for a model of the given sizes.

    Raises:
        CheckpointError: the checkpoint cannot be read, or has another architecture or other sizes.
    """
    theirs = read_checkpoint(checkpoint)
    wanted = _wanted(theirs, model, masked_image)
    weights, report = convert(theirs, wanted, model, entity_vectors=entity_vectors)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights, folder / WEIGHTS_FILE)
    with checkpoint.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    record = {"version": FORMAT_VERSION, "checkpoint": checkpoint.name, "sha256": digest, "model": asdict(model), **asdict(report)}
    (folder / REPORT_FILE).write_text(json.dumps(record, indent=1), encoding="utf-8")
    write_digests(folder)
    return report


def load_imported(task: nn.Module, folder: Path) -> list[str]:
    """Start ``task`` from the weights in ``folder``; return the names of the parameters that keep their initial weights.

    Heads that the task lacks are ignored. Parts that the checkpoint lacks keep their initial weights: knowledge, and heads of objectives.

    Raises:
        CheckpointError: the folder is damaged, or its weights have another size.
    """
    if not check_digests(folder) and folder.exists():
        warn_without_digests(folder, _MAKER)
    with plain_reasons(lambda why: CheckpointError(f"no imported weights in {folder} ({why}); make them with {_MAKER}")):
        weights = load_file(folder / WEIGHTS_FILE)
    parts = {name.split(".")[0] for name, _ in task.named_parameters()}
    used = {name: value for name, value in weights.items() if name.split(".")[0] in parts}
    unset = [name for name, _ in task.named_parameters() if name not in used and (is_optional(name) or name == ENTITY_VECTORS)]
    check_weights(task, used, str(folder), but=unset)
    task.load_state_dict(used, strict=False)
    return unset


def _wanted(theirs: dict[str, Tensor], model: ARLConfig, masked_image: MaskedImageConfig) -> dict[str, torch.Size]:
    """Return the shapes of a pre-training task of these sizes, with the vocabulary and the entities of the checkpoint."""
    words = next((theirs[name] for name in _WORDS if name in theirs), None)
    if words is None:
        raise CheckpointError("this is not a checkpoint of METER, M3AE or ARL: it has no word embeddings of RoBERTa or BERT")
    from medvlp.tasks.pretrain.module import PretrainingModule  # late: drivers import this module, and the model takes seconds

    vectors = theirs.get(_VECTORS, torch.zeros(1, _KNOWLEDGE_WIDTH))
    entities = tuple(Entity(str(index), str(index), "", 0) for index in range(len(vectors)))
    bundle = KnowledgeBundle(entities, (), torch.zeros(0, 3, dtype=torch.int64), vectors, Provenance("", "", "", "", 0))
    with torch.device("meta"):  # shapes, without their memory
        task = PretrainingModule(model.from_scratch(), Pretraining(masked_image=masked_image), bundle, vocabulary=len(words), padding_id=1)
    return {name: parameter.shape for name, parameter in task.named_parameters()}
