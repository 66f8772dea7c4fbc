"""Connect to Ray: to the cluster that a job was submitted to, or to a small one started on loopback."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import scaleout
from medvlp.errors import ConfigurationError

_OBJECT_STORE_BYTES = 1_000_000_000
"""Default for a Ray started here: Ray itself would take 30 % of the memory, which a laptop needs for training."""
_SUBMITTED_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in a submitted job. Workers inherit the job's runtime environment (snapshot, PYTHONPATH); a second one would conflict."""


@contextmanager
def connect(*, object_store_bytes: int = _OBJECT_STORE_BYTES, num_cpus: int | None = None) -> Iterator[None]:
    """Connect to Ray; on exit, stop only what was started here.

    Keeps an existing connection of this process; otherwise joins the cluster at ``RAY_ADDRESS`` (Ray sets it for a
    submitted job); otherwise starts a Ray for this process.

    Args:
        object_store_bytes: Size of the object store of a Ray that is started here.
        num_cpus: Logical CPUs of a Ray that is started here; all of the machine's if None.

    Raises:
        ConfigurationError: no Ray answers at ``RAY_ADDRESS``.
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
                log_to_driver=False,  # Workers send the user's messages to the driver; the rest is in Ray's logs.
                runtime_env=None if _SUBMITTED_VARIABLE in os.environ else {"env_vars": {"PYTHONPATH": worker_path()}},
            )
        except ConnectionError as error:
            raise ConfigurationError(f"no Ray answers at RAY_ADDRESS={address}; start it, or unset the variable") from error
    else:
        # Processes of a Ray that is started here inherit it. A runtime environment would have the same effect, but each process would
        # wait for it, and those that Ray starts in advance could not be used.
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
    """Turn off Ray's progress bars and execution plans: jobs show their own progress."""
    import ray.data

    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)  # it warns about missing bars


def worker_path() -> str:
    """Return the PYTHONPATH with which a worker imports ``scaleout`` and ``medvlp`` from the same folders as this process."""
    import medvlp

    roots = [str(Path(package.__file__).parents[1]) for package in (scaleout, medvlp) if package.__file__]
    return os.pathsep.join(dict.fromkeys([*roots, *filter(None, [os.environ.get("PYTHONPATH")])]))
