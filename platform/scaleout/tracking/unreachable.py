"""What MLflow raises when its store does not answer or refuses, and what to tell the user."""

import re

from medvlp.errors import MedvlpError
from medvlp.redaction import without_credentials

_REFUSED = re.compile(r"\b(401|403)\b|unauthori[sz]ed|unauthenticated|forbidden|permission_denied", re.IGNORECASE)


def unreachable_errors() -> tuple[type[Exception], ...]:
    """Return MLflow's own error, and those that it passes on: of its HTTP library, database, object store and files.

    An answer that is not MLflow's, such as a proxy's page, raises another two; a lost run is a ``ConfigurationError``.

    A function, because only a process that has imported MLflow has the others at hand.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError
    from urllib3.exceptions import HTTPError

    of_libraries = (MlflowException, RequestException, HTTPError, SQLAlchemyError, BotoCoreError, ClientError, ParseError)
    return (*of_libraries, MedvlpError, ValueError, OSError)


def explain(error: Exception, uri: str) -> str:
    """Return what is wrong with the tracking store at ``uri``, and what to do if somebody must do something."""
    if isinstance(error, MedvlpError):
        return str(error)
    where = f"MLflow at {without_credentials(uri)}"
    if uri.startswith("http") and is_refusal(error):
        names = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN"
        return f"{where} refuses the credentials: set {names}, then give the same command again"
    return f"{where} does not answer ({type(error).__name__})"


def is_refusal(error: Exception) -> bool:
    """Return whether an error of an MLflow server, or of a proxy before it, means missing or wrong credentials."""
    from mlflow.exceptions import MlflowException

    if isinstance(error, MlflowException) and error.get_http_status_code() in (401, 403):
        return True
    answer = getattr(error, "response", None)
    return getattr(answer, "status_code", None) in (401, 403) or (answer is None and _REFUSED.search(str(error)) is not None)
