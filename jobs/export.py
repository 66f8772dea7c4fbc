"""Write a trained model as a folder that ``medvlp.load`` reads: safetensors, configuration, tokenizer, knowledge and a card."""

from scaleout.cli import run_job
from scaleout.io.places import Name, Place, absolute
from scaleout.io.storage import join
from scaleout.launch.export import export_run


def export(*, run: Name, storage: Place, output: Place, checkpoint: str = "last", overwrite: bool = False) -> None:
    """Write a trained model as a folder that ``medvlp.load`` reads.

    Args:
        run: Name of the pre-training or fine-tuning run.
        storage: Folder with all runs, or s3://bucket/folder.
        output: Destination of the model: a folder, or s3://bucket/folder.
        checkpoint: last, best (by train.best_metric) or a step number.
        overwrite: Replace an existing model.
    """
    output = absolute(output)
    config = export_run(join(absolute(storage), run), output, checkpoint=checkpoint, overwrite=overwrite)
    print(f"model of step {config.origin.step} of run {config.origin.run!r}: {output}")
    print(f'use it: import medvlp; model = medvlp.load("{output}")')


if __name__ == "__main__":
    run_job(export)
