"""Retries for a store that is temporarily unavailable: temporary errors are retried, permanent ones are raised."""

import logging
import math
import os
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from medvlp.errors import ConfigurationError

logger = logging.getLogger(__name__)

RETRY_VARIABLE = "MEDVLP_STORAGE_RETRY_SECONDS"
"""Environment variable: seconds for which a bucket may be unavailable before a job gives up; 120 by default."""

_DEFAULT_SECONDS = 120.0
_LONGEST_PAUSE = 10.0
_LATER = {
    *("SlowDown", "Throttling", "ThrottlingException", "RequestThrottled", "TooManyRequests", "RequestTimeout"),
    *("InternalError", "ServiceUnavailable", "OperationAborted", "ConditionalRequestConflict"),
    *("IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"),
}
"""S3 error codes of requests that may succeed later; the last three mean that the upload arrived truncated."""

T = TypeVar("T")


class GaveUpError(OSError):
    """The store was unavailable for longer than retries last."""


def retry(what: str, call: Callable[[], T]) -> T:
    """Return the value of ``call``, repeated while it fails with temporary errors: calling it twice must be harmless.

    The first failure and the recovery are logged, one line each.

    Args:
        what: description of the call for these lines, such as "read s3://bucket/file".
        call: the call to repeat.

    Raises:
        ConfigurationError: ``MEDVLP_STORAGE_RETRY_SECONDS`` is no number.
        GaveUpError: temporary errors lasted for ``MEDVLP_STORAGE_RETRY_SECONDS`` seconds.
        Exception: a permanent error, unchanged.
    """
    patience = _patience()
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


def _patience() -> float:
    given = os.environ.get(RETRY_VARIABLE) or str(_DEFAULT_SECONDS)
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(f"{RETRY_VARIABLE} is {given!r}: take a number of seconds, at least 0")
    return seconds


def is_passing(error: BaseException | None) -> bool:
    """Return whether an error of s3fs, or one of its causes, is a network error or a temporary error of the server."""
    while error is not None:
        if _is_of_the_network(error) or _says_later(error):
            return True
        error = error.__cause__
    return False


def _is_of_the_network(error: BaseException) -> bool:
    """Return whether the response was missing or truncated. The libraries are imported late: only S3 needs them."""
    from aiohttp import ClientConnectionError, ClientPayloadError
    from botocore.exceptions import ConnectionError as BotoConnectionError
    from botocore.exceptions import HTTPClientError, IncompleteReadError, SSLError
    from botocore.parsers import ResponseParserError

    passing = (TimeoutError, ConnectionError, ClientConnectionError, ClientPayloadError, BotoConnectionError, HTTPClientError)
    return isinstance(error, (*passing, IncompleteReadError, ResponseParserError)) and not isinstance(error, SSLError)


def _says_later(error: BaseException) -> bool:
    """Return whether the server responded that it cannot serve the request now."""
    answer = getattr(error, "response", None)
    if not isinstance(answer, dict):
        return False
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= 500 or status == 429 or answer.get("Error", {}).get("Code") in _LATER


def _pauses() -> Iterator[float]:
    """Yield growing pauses in seconds, randomised so that many workers do not retry at the same moment."""
    longest = 0.5
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(2 * longest, _LONGEST_PAUSE)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
