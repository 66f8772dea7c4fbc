"""Write a trained model as a folder that ``medvlp.load`` reads: safetensors, configuration, tokenizer, knowledge and a card."""

from scaleout.cli import run_job
from scaleout.io.places import Name, Place, absolute, is_remote
from scaleout.io.storage import base_name, join
from scaleout.launch.export import export_run

DOWNLOAD = """python -c "from s3fs import S3FileSystem; S3FileSystem().get('{source}/', '{folder}/', recursive=True)\""""
"""A command that needs nothing but what this project installs; endpoint and keys are those of the environment."""


def export(
    *,
    run: Name,
    storage: Place,
    output: Place,
    checkpoint: str = "last",
    knowledge: Place | None = None,
    tokenizer: Place | None = None,
    overwrite: bool = False,
) -> None:
    """Write a trained model as a folder that ``medvlp.load`` reads.

    Args:
        run: Name of the pre-training or fine-tuning run.
        storage: Folder with all runs, or s3://bucket/folder.
        output: Destination of the model: a folder, or s3://bucket/folder.
        checkpoint: last, best (by train.best_metric) or a step number.
        knowledge: New location of the knowledge bundle, if it was moved.
        tokenizer: New location of the tokenizer, if it was moved; the shards of the training contain it by default.
        overwrite: Write into a folder that is not empty, and replace its files of the same names.
    """
    output = absolute(output)
    config = export_run(
        join(absolute(storage), run), output, checkpoint=checkpoint, knowledge=knowledge, tokenizer=tokenizer, overwrite=overwrite
    )
    print(f"model of step {config.origin.step} of run {config.origin.run!r}: {output}")
    folder = output
    if is_remote(output):
        folder = base_name(output)
        print("download it: " + DOWNLOAD.format(source=output.removeprefix("s3://"), folder=folder))
    print(f'use it: import medvlp; model = medvlp.load("{folder}")')


if __name__ == "__main__":
    run_job(export)
