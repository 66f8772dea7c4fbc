"""Joining Ray: the cluster a job was submitted to, or a small one of its own on loopback."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import scaleout
from medvlp.errors import ConfigurationError

_OBJECT_STORE_BYTES = 1_000_000_000
"""For a Ray of our own: Ray would take 30 % of the memory, which a laptop wants for training."""
_SUBMITTED_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets it in a submitted job, whose runtime environment (snapshot, PYTHONPATH) workers inherit: a second one would clash."""


@contextmanager
def connect(*, object_store_bytes: int = _OBJECT_STORE_BYTES, num_cpus: int | None = None) -> Iterator[None]:
    """Be connected to Ray; on leaving, stop only what was started here.

    Joins the Ray this process is connected to already, else the cluster that ``RAY_ADDRESS`` names (Ray sets it for a
    submitted job), else starts one for this process.

    Args:
        object_store_bytes: Size of the object store of a Ray that is started here.
        num_cpus: Logical CPUs of a Ray that is started here; those of the machine if None.

    Raises:
        ConfigurationError: no Ray answers where ``RAY_ADDRESS`` says.
    """
    import ray
    import ray.data

    _quieten()
    if ray.is_initialized():
        yield
        return
    if address := os.environ.get("RAY_ADDRESS"):
        try:
            ray.init(
                logging_level=logging.WARNING,
                log_to_driver=False,  # Workers send the driver what a user wants to know; the rest is in Ray's logs.
                runtime_env=None if _SUBMITTED_VARIABLE in os.environ else {"env_vars": {"PYTHONPATH": worker_path()}},
            )
        except ConnectionError as error:
            raise ConfigurationError(f"no Ray answers at RAY_ADDRESS={address}; start it, or unset the variable") from error
    else:
        # Processes of a Ray that is started here inherit it. A runtime environment says the same, but each process waits for it, and
        # those that Ray starts in advance could not be used.
        os.environ["PYTHONPATH"] = worker_path()
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level=logging.WARNING,
            log_to_driver=False,
            num_cpus=num_cpus,
            object_store_memory=object_store_bytes,
        )
    try:
        yield
    finally:
        ray.shutdown()


def _quieten() -> None:
    """Jobs show their own progress: no bars, no plans of executions."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # it warns that there are no bars


def worker_path() -> str:
    """PYTHONPATH with which a worker imports ``scaleout`` and ``medvlp`` from where this process has them."""
    import medvlp

    roots = [str(Path(package.__file__).parents[1]) for package in (scaleout, medvlp) if package.__file__]
    return os.pathsep.join(dict.fromkeys([*roots, *filter(None, [os.environ.get("PYTHONPATH")])]))
