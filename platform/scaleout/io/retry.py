"""Waiting for a store that is away for a while: what fails for the moment is tried again, what fails for good is not."""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

logger = logging.getLogger(__name__)

RETRY_VARIABLE = "MEDVLP_STORAGE_RETRY_SECONDS"
"""Seconds for which a bucket may be away before a job gives up; 120 by default."""

_DEFAULT_SECONDS = 120.0
_LONGEST_PAUSE = 10.0
_LATER = {
    *("SlowDown", "Throttling", "ThrottlingException", "RequestThrottled", "TooManyRequests", "RequestTimeout"),
    *("InternalError", "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict"),
    *("IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"),
}
"""Codes of S3 for what may succeed in a moment; the last three say that what was sent came cut."""

T = TypeVar("T")


class GaveUpError(OSError):
    """The store was away for longer than patience lasts."""


def retry(what: str, call: Callable[[], T]) -> T:
    """The value of ``call``, which is made again while it fails for reasons that pass: it must be harmless to make it twice.

    The first failure and the recovery are logged, in a line each.

    Args:
        what: is done, for these lines: "read s3://bucket/file".
        call: what is tried.

    Raises:
        GaveUpError: it failed so for ``MEDVLP_STORAGE_RETRY_SECONDS`` seconds.
        Exception: what fails for good, as it was.
    """
    patience = float(os.environ.get(RETRY_VARIABLE, _DEFAULT_SECONDS))
    failed_since: float | None = None
    for pause in _pauses():
        try:
            value = call()
        except Exception as error:
            if not is_passing(error):
                raise
            now = time.monotonic()
            if failed_since is None:
                failed_since = now
                logger.warning("cannot %s (%s): trying again for up to %g s", what, _first_line(error), patience)
            if now + pause > failed_since + patience:
                raise GaveUpError(f"{_first_line(error)}; tried for {now - failed_since:.0f} s") from error
            time.sleep(pause)
        else:
            if failed_since is not None:
                logger.warning("storage answers again, after %.0f s", time.monotonic() - failed_since)
            return value
    raise AssertionError("pauses do not end")


def is_passing(error: BaseException | None) -> bool:
    """Whether an error of s3fs, or what it was made of, is one of the network or of a server in trouble."""
    while error is not None:
        if _is_of_the_network(error) or _says_later(error):
            return True
        error = error.__cause__
    return False


def _is_of_the_network(error: BaseException) -> bool:
    """Whether the answer did not come, or came cut. Imported late: who comes here has these libraries."""
    from aiohttp import ClientConnectionError, ClientPayloadError
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from botocore.exceptions import HTTPClientError, IncompleteReadError, SSLError
    from botocore.parsers import ResponseParserError

    passing = (TimeoutError, ConnectionError, ClientConnectionError, ClientPayloadError, BotoConnectionError, HTTPClientError)
    return isinstance(error, (*passing, IncompleteReadError, ResponseParserError)) and not isinstance(error, SSLError)


def _says_later(error: BaseException) -> bool:
    """Whether the server answered that it cannot do now what it was asked."""
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return False
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or answer.get("Error", {}).get("Code") in _LATER


def _pauses() -> Iterator[float]:
    """Longer and longer ones, at random, so that many workers do not come back at the same moment."""
    longest = 0.5
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(2 * longest, _LONGEST_PAUSE)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
