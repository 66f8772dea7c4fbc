"""Convert a published checkpoint of METER, M3AE or ARL to weights that jobs/pretrain.py can start from."""

from medvlp.interchange.weights_folder import REPORT_FILE, import_checkpoint
from medvlp.model.config import ARLConfig
from medvlp.tasks.pretrain.config import MaskedImageConfig
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.io.output import output_folder
from scaleout.io.places import Place

PAPER, PAPER_MASKED_IMAGE = ARLConfig(), MaskedImageConfig()


def import_weights(
    *,
    checkpoint: Place,
    output: Place,
    model: ARLConfig = PAPER,
    masked_image: MaskedImageConfig = PAPER_MASKED_IMAGE,
    entity_vectors: bool = False,
    overwrite: bool = False,
) -> None:
    """Convert a published checkpoint of METER, M3AE or ARL to weights that jobs/pretrain.py can start from.

    Each parameter is mapped, interpolated (position embeddings, to the image size), left out for a stated reason, or reported as missing.
    Anything else is an error. Nothing in the checkpoint is executed.

    Args:
        checkpoint: A .ckpt, .pt or .safetensors file, or s3://bucket/file.
        output: Destination of weights and report: a folder, or s3://bucket/folder.
        model: Model sizes, as in the recipe that will train it.
        masked_image: Sizes of the masked-image decoder.
        entity_vectors: Import the entity vectors too; use only with the same knowledge graph that the checkpoint was trained with.
        overwrite: Write into a folder that is not empty, and replace its files of the same names.
    """
    output = storage.absolute(output)
    with (
        output_folder(output, last=REPORT_FILE, overwrite=overwrite) as folder,
        storage.local_copy(storage.absolute(checkpoint)) as file,
    ):
        report = import_checkpoint(file, folder, model, masked_image, entity_vectors=entity_vectors)
    print(f"parameters: {report}")
    for theirs, reason in report.unused.items():
        print(f"  unused        {theirs}: {reason}")
    for ours, shapes in report.interpolated.items():
        print(f"  interpolated  {ours}: {shapes}")
    for ours in report.missing:
        print(f"  missing       {ours}: keeps its initial weights")
    print(f"start from them: python jobs/pretrain.py --start_from {output} …")


if __name__ == "__main__":
    run_job(import_weights)
