"""MLflow runs on the driver: find the store, and create, continue and close runs."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medvlp.errors import ConfigurationError
from medvlp.redaction import without_credentials
from scaleout.tracking.tracker import RunStatus
from scaleout.tracking.unreachable import explain, is_refusal, unreachable_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

logger = logging.getLogger(__name__)

TRACKING_URI_VARIABLE = "MLFLOW_TRACKING_URI"
PARENT_RUN_TAG = "mlflow.parentRunId"

_SQLITE = "sqlite:///"
METRICS_PER_REQUEST = 1000
"""MLflow's limit."""

# MLflow's own retries block a caller for four minutes when a server is down; ours run in the background.
# A machine with patient data must not send MLflow's usage reports.
_CLIENT_DEFAULTS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


def resolve_tracking_uri(storage: str, configured: str | None = None) -> str:
    """Return the tracking store of runs under ``storage``: the configured one, else ``MLFLOW_TRACKING_URI``, else SQLite in ``storage``.

    A record holds an address without credentials; the variable may add them.

    Raises:
        ConfigurationError: there is no place for a default store, or the URI is relative.
    """
    environment = os.environ.get(TRACKING_URI_VARIABLE)
    uri = environment if environment and configured == without_credentials(environment) else configured or environment
    if uri:
        if uri.startswith(_SQLITE) and not uri.startswith(_SQLITE + "/"):
            raise ConfigurationError(
                f"the tracking store {uri} is relative, and a job runs in a temporary folder: use sqlite:////absolute/path"
            )
        return uri
    path = storage.removeprefix("file://")
    if "://" in path:
        raise ConfigurationError(
            f"storage {storage} cannot hold the tracking store, which is an SQLite file: set {TRACKING_URI_VARIABLE} to an MLflow server, "
            f"for example {TRACKING_URI_VARIABLE}=http://127.0.0.1:5000"
        )
    return f"{_SQLITE}{Path(path).absolute()}/mlflow.db"


def import_mlflow() -> None:
    """Import MLflow. It takes a second or two, which a thread can spend while something else is waited for."""
    for name, value in _CLIENT_DEFAULTS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401


def open_client(uri: str) -> "MlflowClient":
    """A client of the store, with no global state of MLflow touched."""
    import_mlflow()
    if uri.startswith(_SQLITE):
        Path(uri.removeprefix(_SQLITE)).parent.mkdir(parents=True, exist_ok=True)
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def start_run(
    uri: str,
    experiment: str,
    name: str,
    run_id: str | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    *,
    replaces_lost: bool = False,
) -> str:
    """Create an MLflow run, or make sure that ``run_id`` can be continued; return its id.

    Called once, on the driver; the id is then stored with the run. If the server is down, a new run fails, because it could not be tracked
    at all, but a continued run does not.

    Args:
        uri: the tracking store.
        experiment: name of the experiment of a new run.
        name: name of a new run.
        run_id: the run to continue.
        parent_run_id: parent of a new run.
        tags: tags of a new run.
        replaces_lost: create a new run if the one to continue is deleted or unknown.

    Raises:
        ConfigurationError: a new run cannot be created, or the one to continue is deleted or unknown.
    """
    try:
        client = open_client(uri)
        if run_id is not None and not (replaces_lost and _is_lost(client, run_id)):
            return str(find_run(client, run_id).info.run_id)
        run_tags = dict(tags or {}) | ({PARENT_RUN_TAG: parent_run_id} if parent_run_id else {})
        return client.create_run(_experiment_id(client, uri, experiment), tags=run_tags, run_name=name).info.run_id
    except ConfigurationError:
        raise
    except unreachable_errors() as error:
        if run_id is not None:
            logger.warning("%s; the run continues and reports later", explain(error, uri))
            return run_id
        if is_refusal(error):
            raise ConfigurationError(f"cannot start a run: {explain(error, uri)}") from error
        raise ConfigurationError(
            f"cannot start a run in MLflow at {without_credentials(uri)}: {error}; is the server up, and is {TRACKING_URI_VARIABLE} right?"
        ) from error


def log_evaluation(uri: str, run_id: str, metrics: Mapping[str, float], step: int, file: Path, folder: str) -> None:
    """Add metrics and a file to a run that has ended. If MLflow does not answer, log a warning: the results are on disk."""
    try:
        client = open_client(uri)
        find_run(client, run_id)
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        points = [Metric(name, value, now, step) for name, value in metrics.items()]
        for start in range(0, len(points), METRICS_PER_REQUEST):
            client.log_batch(run_id, metrics=points[start : start + METRICS_PER_REQUEST], synchronous=True)
        client.log_artifact(run_id, str(file), folder)
    except unreachable_errors() as error:
        logger.warning("MLflow did not take the evaluation, which is on disk: %s", explain(error, uri))


def end_run(uri: str, run_id: str, status: RunStatus) -> None:
    """Set the final status of a run whose own tracker has ended."""
    open_client(uri).set_terminated(run_id, status=status.value)


def close_children(uri: str, parent_run_id: str, status: RunStatus = RunStatus.KILLED) -> list[str]:
    """End every open run under ``parent_run_id``, such as trials that a scheduler has stopped; return their ids."""
    client = open_client(uri)
    experiment = client.get_run(parent_run_id).info.experiment_id
    condition = f"tags.`{PARENT_RUN_TAG}` = '{parent_run_id}' and attributes.status = '{RunStatus.RUNNING}'"
    closed: list[str] = []
    # Always the first page: closed runs no longer match.
    while children := client.search_runs([experiment], condition, max_results=100):
        for child in children:
            client.set_terminated(child.info.run_id, status=status.value)
            closed.append(child.info.run_id)
    return closed


def find_run(client: "MlflowClient", run_id: str) -> "Run":
    """Return a run that can be written.

    Raises:
        ConfigurationError: the run is deleted or unknown; the message says what to do.
    """
    from mlflow.exceptions import MlflowException

    where = f"MLflow at {without_credentials(client.tracking_uri)}"
    anew = "begin a new MLflow run with all points from the files of the run: --tracking.new_run true"
    try:
        run = client.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        raise ConfigurationError(
            f"{where} has no run {run_id}: point {TRACKING_URI_VARIABLE} to the store in which it was started, or, if the run was copied "
            f"from another machine or the store is lost, {anew}"
        ) from error
    if run.info.lifecycle_stage != "active":
        experiment = run.info.experiment_id
        raise ConfigurationError(
            f"{where} has deleted the run {run_id}: restore it (mlflow runs restore --run-id {run_id}; with its experiment: mlflow "
            f"experiments restore --experiment-id {experiment}), then the same command sends what it lacks; or {anew}"
        )
    return run


def _is_lost(client: "MlflowClient", run_id: str) -> bool:
    try:
        find_run(client, run_id)
    except ConfigurationError:
        logger.info("a new MLflow run replaces %s", run_id)
        return True
    return False


def _experiment_id(client: "MlflowClient", uri: str, name: str) -> str:
    from mlflow.exceptions import MlflowException

    if (experiment := client.get_experiment_by_name(name)) is not None:
        if experiment.lifecycle_stage != "active":
            raise ConfigurationError(
                f"MLflow at {without_credentials(uri)} has deleted the experiment {name!r}: restore it (mlflow experiments restore "
                f"--experiment-id {experiment.experiment_id}), or choose another --tracking.experiment"
            )
        return str(experiment.experiment_id)
    try:
        return client.create_experiment(name, artifact_location=_artifact_location(uri))
    except MlflowException as error:
        # Another process created it between the two calls.
        if error.error_code == "RESOURCE_ALREADY_EXISTS" and (experiment := client.get_experiment_by_name(name)) is not None:
            return str(experiment.experiment_id)
        raise


def _artifact_location(uri: str) -> str | None:
    """Return the folder of the SQLite database, where MLflow would use the working directory; None for a server, which has its own."""
    if not uri.startswith(_SQLITE):
        return None
    return (Path(uri.removeprefix(_SQLITE)).parent / "mlartifacts").as_uri()
