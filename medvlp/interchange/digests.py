"""The digests of a folder's files, as the command ``sha256sum`` writes them and, with ``--check``, checks them."""

import hashlib
import logging
from collections.abc import Collection
from pathlib import Path

from medvlp.errors import CheckpointError

DIGESTS_FILE = "SHA256SUMS"

logger = logging.getLogger(__name__)


def write_digests(folder: Path, but: Collection[str] = ()) -> None:
    """Write the digests of all files of ``folder``, except for those named in ``but``, which people may edit."""
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    lines = [f"{_digest(folder / name)}  {name}\n" for name in names if name not in (DIGESTS_FILE, *but)]
    (folder / DIGESTS_FILE).write_text("".join(lines), encoding="utf-8")


def check_digests(folder: Path, names: Collection[str] | None = None) -> bool:
    """Check the files of ``folder`` that have a digest; of these ``names`` only, if given. Return whether there are digests.

    Raises:
        CheckpointError: a file is missing or was changed.
    """
    try:
        lines = (folder / DIGESTS_FILE).read_text(encoding="utf-8").splitlines()
        digests = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder / DIGESTS_FILE} is damaged: {error}; copy the whole folder again") from error
    for name in digests if names is None else [name for name in names if name in digests]:
        try:
            changed = _digest(folder / name) != digests[name]
        except OSError as error:
            raise CheckpointError(f"{folder / name} cannot be read ({error.strerror}); copy the whole folder again") from error
        if changed:
            raise CheckpointError(
                f"{folder / name} was changed or damaged: it differs from {DIGESTS_FILE}; copy the whole folder again, or make it again"
            )
    return True


def warn_without_digests(folder: Path, maker: str) -> None:
    """Log that damage to the files of an older folder would go unnoticed."""
    logger.warning("%s has no %s, so damaged files would go unnoticed: make it again with %s", folder, DIGESTS_FILE, maker)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
