"""Tracking of runs: one interface, MLflow and JSON lines behind it. MLflow is imported when it is first used."""

from scaleout.tracking.jsonlines import JsonLinesTracker
from scaleout.tracking.mlflow import MlflowTracker, deliver_anew, replay
from scaleout.tracking.pictures import Picture
from scaleout.tracking.runs import close_children, end_run, import_mlflow, log_evaluation, resolve_tracking_uri, start_run
from scaleout.tracking.tracker import CompositeTracker, RunStatus, Tracker

__all__ = [
    "CompositeTracker",
    "JsonLinesTracker",
    "MlflowTracker",
    "Picture",
    "RunStatus",
    "Tracker",
    "close_children",
    "deliver_anew",
    "end_run",
    "import_mlflow",
    "log_evaluation",
    "replay",
    "resolve_tracking_uri",
    "start_run",
]
