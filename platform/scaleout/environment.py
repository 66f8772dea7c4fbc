"""What batch systems and slim containers leave out of a process's environment: UTF-8, a home that can be written, a short ``TMPDIR``."""

import locale
import logging
import os
import stat
import sys
import tempfile
from pathlib import Path

UTF8_VARIABLE = "PYTHONUTF8"

_LONGEST_TMPDIR = 24
"""A socket's path has at most 107 bytes, of which Ray and the names of its folders need up to 83."""

_CACHES = {"TORCH_EXTENSIONS_DIR": "torch_extensions", "TRITON_HOME": "triton", "MPLCONFIGDIR": "matplotlib", "HF_HOME": "huggingface"}
"""Variables that name the caches of libraries, by default below HOME, and folders for them."""

logger = logging.getLogger(__name__)


def settle_environment() -> None:
    """Prepare this process and those that it starts, before anything else runs in it."""
    _use_utf8()
    move_caches()


def _use_utf8() -> None:
    """Read and write UTF-8 whatever the locale is; restart this process if file names have another encoding.

    Characters that an explicit ``PYTHONIOENCODING`` cannot show are escaped instead of ending the job.
    """
    os.environ[UTF8_VARIABLE] = "1"
    if not all(name.lower() in {"utf-8", "utf8"} for name in (sys.getfilesystemencoding(), locale.getpreferredencoding(False))):
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not so where a test or a notebook shows the output
            stream.reconfigure(errors="backslashreplace")


def move_caches() -> None:
    """Give the caches of libraries another folder if HOME cannot be written, as in containers with arbitrary users."""
    home = home_folder()
    if os.access(home, os.W_OK | os.X_OK):
        return
    folder = _private_folder()
    for variable, name in _CACHES.items():
        if variable not in os.environ and not (variable == "HF_HOME" and Path(home, ".cache", name).exists()):
            os.environ[variable] = str(folder / name)
    logger.info("HOME is %s, which cannot be written: compiled code and other caches are in %s", home, folder)


def home_folder() -> str:
    """Return the folder that libraries take for HOME; ``~`` if there is none."""
    return os.path.expanduser("~")  # noqa: PTH111, Path would raise an error


def short_temporary_folder() -> str:
    """Return the folder for temporary files, or ``/tmp`` if its name is too long for the sockets of Ray."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= _LONGEST_TMPDIR else "/tmp"


def _private_folder() -> Path:
    """Return a folder for temporary files that only this user can write; the same for all processes."""
    folder = Path(tempfile.gettempdir(), f"medvlp-caches-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        return folder
    return Path(tempfile.mkdtemp(prefix="medvlp-caches-"))  # somebody else made the first one, perhaps to have code of theirs run
