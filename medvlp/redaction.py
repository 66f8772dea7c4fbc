"""Keep passwords, keys and tokens out of everything that leaves the process: messages, logs, records.

Known secrets are the values of environment variables with such a name (``…_PASSWORD``, ``…_TOKEN``, ``…_KEY``), and passwords in
addresses in the environment or on the command line. They are hidden wherever they appear; any other password where an address or its name
shows it.
"""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any
from urllib.parse import unquote

HIDDEN = "***"
_KEYS = r"api_?key|(?:aws)?access_?key(?:_?id)?|private_?key"
_NAME = rf"(?:[\w.-]*[_.-])?(?:password|passwd|secret|token|signature|sig|credentials?|{_KEYS})"
_SECRET_VARIABLE = re.compile(rf"{_NAME}|(?:.*_)?KEY", re.IGNORECASE)
# A password may contain "/" and "@", but what follows a port is a path: http://host:5000/a@b has no password.
_LOGIN = re.compile(r"""(?<=://)(?:[^\s/:@]*:(?!\d+\b)[^\s"'<>]*@|[^\s/?#]*@)""")
_VALUE = re.compile(
    rf"(\bauthorization[\"']?\s*[:=]\s*[\"']?\w+\s+|(?<![\w.-]){_NAME}(?:=|[\"']\s*[:=]\s*)[\"']?)([^\s\"'&;,)}}\]]+)", re.IGNORECASE
)


def without_credentials(text: str) -> str:
    """Return an address, or a text with addresses, without user, password and keys; what it means otherwise does not change."""
    return _VALUE.sub(rf"\1{HIDDEN}", _LOGIN.sub("", text))


def redact(text: str) -> str:
    """Return a text without passwords, keys and tokens."""
    text = without_credentials(text)
    for secret in _known_secrets():
        text = text.replace(secret, HIDDEN)
    return text


def redact_output() -> None:
    """Redact all that this process writes to stdout and stderr from now on: of its own code, of libraries, and tracebacks."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is not None and not isinstance(stream, _RedactedStream):
            setattr(sys, name, _RedactedStream(stream))


class _RedactedStream:
    """A text stream that hides secrets. Whoever writes a line does it in one piece, as print, logging and traceback do."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _known_secrets() -> Iterator[str]:
    """Yield the secrets of this process, the longest first."""
    found = {value for name, value in os.environ.items() if _SECRET_VARIABLE.fullmatch(name)}
    for text in (*os.environ.values(), *sys.argv):
        for login in _LOGIN.findall(text):
            password = login.rpartition("@")[0].partition(":")[2]
            found |= {password, unquote(password)}
    yield from sorted(filter(_is_telling, found), key=len, reverse=True)


def _is_telling(secret: str) -> bool:
    """Return whether a text that contains a secret is likely to mean it: "mlflow" may be a password, and is part of many paths."""
    return len(secret) >= 8 or (len(secret) >= 5 and not secret.isalpha() and not secret.isdigit())
