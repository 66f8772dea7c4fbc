"""Turn a published checkpoint of METER, M3AE or ARL into weights that jobs/pretrain.py starts from."""

import tempfile
from pathlib import Path

from medvlp.errors import CheckpointError
from medvlp.interchange.weights_folder import WEIGHTS_FILE, import_checkpoint
from medvlp.model.config import ARLConfig
from medvlp.tasks.pretrain.config import MaskedImageConfig
from scaleout.cli import run_job
from scaleout.io import storage

PAPER, PAPER_MASKED_IMAGE = ARLConfig(), MaskedImageConfig()


def import_weights(
    *,
    checkpoint: str,
    output: str,
    model: ARLConfig = PAPER,
    masked_image: MaskedImageConfig = PAPER_MASKED_IMAGE,
    entity_vectors: bool = False,
    overwrite: bool = False,
) -> None:
    """Turn a published checkpoint of METER, M3AE or ARL into weights that jobs/pretrain.py starts from.

    Every parameter is mapped, interpolated (positions, to the size of the image), left out for a reason, or reported as
    missing; anything else is refused. Nothing in the checkpoint is executed.

    Args:
        checkpoint: A .ckpt, .pt or .safetensors file, or s3://bucket/file.
        output: Where weights and report go: a folder, or s3://bucket/folder.
        model: Sizes of the model, as in the recipe that will train it.
        masked_image: Sizes of the decoder of masked images.
        entity_vectors: Take the vectors of the entities too: only for the very knowledge graph that the checkpoint was trained with.
        overwrite: Replace weights that are there.
    """
    output = storage.absolute(output)
    if storage.exists(storage.join(output, WEIGHTS_FILE)) and not overwrite:
        raise CheckpointError(f"{output} holds imported weights already; choose another --output, or --overwrite")
    storage.check_writable(output)
    with tempfile.TemporaryDirectory(prefix="medvlp-import-") as temporary, storage.local_copy(storage.absolute(checkpoint)) as file:
        folder = Path(temporary, "weights")
        report = import_checkpoint(file, folder, model, masked_image, entity_vectors=entity_vectors)
        storage.upload_folder(folder, output)
    print(f"parameters: {report}")
    for theirs, reason in report.unused.items():
        print(f"  unused        {theirs}: {reason}")
    for ours, shapes in report.interpolated.items():
        print(f"  interpolated  {ours}: {shapes}")
    for ours in report.missing:
        print(f"  missing       {ours}: keeps its new weights")
    print(f"start from them: python jobs/pretrain.py --start_from {output} …")


if __name__ == "__main__":
    run_job(import_weights)
