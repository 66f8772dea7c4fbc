"""What MLflow raises when its store does not answer."""


def unreachable_errors() -> tuple[type[Exception], ...]:
    """Return MLflow's own error, and those that it passes on: of its HTTP library, database, object store and files.

    An answer that is not MLflow's, such as a proxy's page, raises another two.

    A function, because only a process that has imported MLflow has the others at hand.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from google.protobuf.json_format import ParseError
    from mlflow.exceptions import MlflowException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError
    from urllib3.exceptions import HTTPError

    return MlflowException, RequestException, HTTPError, SQLAlchemyError, BotoCoreError, ClientError, ParseError, ValueError, OSError
