"""The output folder of a job: it is whole or absent, and no file of the user is replaced unasked."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from safetensors import SafetensorError

from medvlp.errors import ConfigurationError, DataError
from scaleout.io import storage

logger = logging.getLogger(__name__)

_UNFINISHED = ".unfinished-"


def check_free(output: str, *, overwrite: bool) -> None:
    """Check that a job may write its files to ``output``; other files there stay in any case.

    Raises:
        ConfigurationError: it is a file, it holds files and may not be overwritten, or it cannot be written.
    """
    if not storage.is_remote(output) and Path(output).is_file():
        raise ConfigurationError(f"{output} is a file: give a folder with --output")
    if (names := _names(output)) and not overwrite:
        shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        raise ConfigurationError(
            f"{output} is not empty ({shown}): choose another --output, or add --overwrite to replace the files that have the same names"
        )
    storage.check_writable(output)


@contextmanager
def output_folder(output: str, *, last: str, overwrite: bool) -> Iterator[Path]:
    """Yield a new local folder; if the block succeeds, its files are moved to ``output``, otherwise ``output`` stays as it was.

    Args:
        output: URI of the folder.
        last: name of the file without which the others do not count; it is written last.
        overwrite: whether files of the same names may be replaced.

    Raises:
        ConfigurationError: see ``check_free``.
        DataError: the files cannot be written, because a disk is full or a store does not answer.
    """
    check_free(output, overwrite=overwrite)
    try:
        # Beside the destination: moving a file within a file system is one step.
        near = None if storage.is_remote(output) else storage.existing_folder(output)
        with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=near) as temporary:
            folder = Path(temporary, "made")  # a temporary folder is readable only by its owner
            folder.mkdir()
            yield folder
            _publish(folder, output, last)
    except (OSError, SafetensorError) as error:
        raise DataError(f"cannot write {output}: {getattr(error, 'strerror', None) or error}") from error


def _publish(folder: Path, output: str, last: str) -> None:
    before = _names(output)
    made = sorted((path for path in folder.rglob("*") if path.is_file()), key=lambda path: path == folder / last)
    if storage.is_remote(output):
        _upload(folder, output, last, new=not before)
    else:
        for path in made:
            target = Path(output, path.relative_to(folder))
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    if replaced := sorted({path.relative_to(folder).parts[0] for path in made} & set(before)):
        logger.info("replaced in %s: %s", output, ", ".join(replaced))


def _upload(folder: Path, output: str, last: str, *, new: bool) -> None:
    content = (folder / last).read_bytes()
    (folder / last).unlink()
    try:
        storage.upload_folder(folder, output)
        storage.write_bytes(storage.join(output, last), content)
    except DataError:
        if new:
            with suppress(DataError):  # the same failure; without the last file the others do not count
                storage.delete(output)
        raise


def _names(output: str) -> list[str]:
    return [name for name in storage.list_names(output) if not name.startswith(_UNFINISHED)]
