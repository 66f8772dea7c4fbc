"""Deliver records to one MLflow run, in order and without duplicates."""

import logging
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from scaleout.tracking.jsonlines import ARTIFACTS_FOLDER, PICTURES_FOLDER
from scaleout.tracking.records import Record, decode_metrics, unseen
from scaleout.tracking.runs import METRICS_PER_REQUEST, find_run, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)

# MLflow's limits for one request.
_PARAMS_PER_REQUEST = 100
_PARAM_LENGTH = 6000

_BAD_REQUEST, _NOT_FOUND = 400, 404


class Delivery:
    """Adds the records that an MLflow run does not contain yet; their files are in ``folder``. Network and server errors are raised."""

    def __init__(self, uri: str, run_id: str, folder: Path) -> None:
        self._uri = uri
        self._run_id = run_id
        self._folder = folder
        self._connected: MlflowClient | None = None
        self._last_steps: dict[str, int] = {}
        self._params: dict[str, str] = {}

    def send(self, records: Sequence[Record]) -> int:
        """Send some of ``records`` from the front (at least one); return how many.

        A record that the server rejects as malformed is dropped with a warning: it would be rejected forever, and block the others.

        Raises:
            ConfigurationError: the run or its experiment was deleted.
        """
        from mlflow.exceptions import MlflowException

        client = self._client()
        try:
            return self._send_front(client, records)
        except MlflowException as error:
            if error.get_http_status_code() in (_BAD_REQUEST, _NOT_FOUND):
                find_run(client, self._run_id)  # what is rejected now is not malformed if the run was deleted
            if error.get_http_status_code() != _BAD_REQUEST:
                raise
            if len(records) > 1:
                return self.send(records[:1])
            logger.warning("MLflow rejects a record of kind %r, which is dropped: %s", _kind(records[0]), error)
            return 1

    def _client(self) -> "MlflowClient":
        """Return the client after reading what the run contains: after a resume the curve must continue where it ended."""
        if self._connected is None:
            client = open_client(self._uri)
            run = find_run(client, self._run_id)
            # The public accessors of a run return the last values without their steps; its protobuf message has both.
            self._last_steps = {metric.key: metric.step for metric in run.data.to_proto().metrics}
            self._params = dict(run.data.params)
            self._connected = client
        return self._connected

    def _send_front(self, client: "MlflowClient", records: Sequence[Record]) -> int:
        record = records[0]
        match _kind(record):
            case "metrics":
                return self._send_metrics(client, list(takewhile(lambda other: _kind(other) == "metrics", records)))
            case "params":
                self._send_params(client, record["values"])
            case "tags":
                self._send_tags(client, record["values"])
            case "picture" | "artifact":
                self._send_file(client, Path(record["path"]))
            case "status":
                self._send_status(client, record["status"])
        return 1

    def _send_metrics(self, client: "MlflowClient", records: Sequence[Record]) -> int:
        from mlflow.entities import Metric

        last_steps = dict(self._last_steps)
        batch: list[Metric] = []
        count = 0
        for record in records:
            if count and len(batch) + len(record["metrics"]) > METRICS_PER_REQUEST:
                break
            step: int = record["step"]
            new = unseen(decode_metrics(record["metrics"]), step, last_steps)
            # The time of the original call, also in a replay: the store ignores a point with the same time and value.
            batch += [Metric(name, value, int(record["time"] * 1000), step) for name, value in new.items()]
            last_steps.update(dict.fromkeys(new, step))
            count += 1
        if batch:
            client.log_batch(self._run_id, metrics=batch, synchronous=True)
        self._last_steps = last_steps
        return count

    def _send_params(self, client: "MlflowClient", values: Mapping[str, str]) -> None:
        """Send parameters. MLflow's cannot change: a value that a later attempt changes, such as the number of workers, becomes a tag."""
        from mlflow.entities import Param

        values = {name: value[:_PARAM_LENGTH] for name, value in values.items()}
        new = [Param(name, value) for name, value in values.items() if name not in self._params]
        for start in range(0, len(new), _PARAMS_PER_REQUEST):
            client.log_batch(self._run_id, params=new[start : start + _PARAMS_PER_REQUEST], synchronous=True)
        changed = {f"resumed.{name}": value for name, value in values.items() if self._params.get(name, value) != value}
        self._send_tags(client, changed)
        self._params.update({param.key: param.value for param in new})

    def _send_tags(self, client: "MlflowClient", values: Mapping[str, str]) -> None:
        for name, value in values.items():
            client.set_tag(self._run_id, name, value, synchronous=True)

    def _send_file(self, client: "MlflowClient", path: Path) -> None:
        """Send a picture or an artifact under its name in the run's folder; a file that is sent twice is stored once.

        Pictures too are plain artifacts: MLflow's image series shows all parameters of the run above each picture, which hides it.
        """
        file = self._folder / path
        if not file.exists():
            logger.warning("%s was removed before MLflow received it", file)
            return
        parent = path.parent if path.parts[0] == PICTURES_FOLDER else path.parent.relative_to(ARTIFACTS_FOLDER)
        client.log_artifact(self._run_id, str(file), None if parent == Path() else parent.as_posix())

    def _send_status(self, client: "MlflowClient", status: str) -> None:
        if status == "RUNNING":
            client.update_run(self._run_id, status=status)
        else:
            client.set_terminated(self._run_id, status=status)


def _kind(record: Record) -> str:
    return str(record.get("kind", "metrics"))
