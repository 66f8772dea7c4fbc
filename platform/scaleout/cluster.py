"""Connect to Ray: to the cluster that a job was submitted to, or to a small one started on loopback."""

import logging
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import scaleout
from medvlp.errors import ConfigurationError
from scaleout.environment import UTF8_VARIABLE, home_folder, short_temporary_folder
from scaleout.signals import keep_handlers

ANSWER_SECONDS = 10.0
"""Time for a cluster to answer at all."""
_CORRECT = "correct or unset the variable, or start the cluster"

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
        ConfigurationError: no Ray answers at ``RAY_ADDRESS``, or it does not accept this process.
    """
    import ray

    _quieten()
    if ray.is_initialized():
        yield
        return
    with keep_handlers():  # Ray replaces that of SIGTERM
        if named_cluster():
            _join()
        else:
            _start(num_cpus, object_store_bytes)
    try:
        yield
    finally:
        ray.shutdown()


def named_cluster() -> str:
    """Return the ``RAY_ADDRESS`` of a cluster to join; empty if a Ray is to be started."""
    address = os.environ.get("RAY_ADDRESS", "")
    return "" if address == "local" else address


def check_answers(address: str, variable: str) -> None:
    """Check that a Ray answers, which Ray itself would wait for for many minutes.

    Args:
        address: ``HOST:PORT``, ``ray://HOST:PORT`` or ``auto``.
        variable: the environment variable that names it.

    Raises:
        ConfigurationError: no Ray answers.
    """
    from scaleout.compat.ray_internals import answers

    try:
        found = answers(address, ANSWER_SECONDS)
    except (ConnectionError, ValueError) as error:
        raise ConfigurationError(f"{variable}={address} is no address of a running Ray: {error}; {_CORRECT}") from error
    if not found:
        raise ConfigurationError(f"no Ray answered at {variable}={address} within {ANSWER_SECONDS:.0f} s; {_CORRECT}")


def _join() -> None:
    import ray

    address = named_cluster()
    check_answers(address, "RAY_ADDRESS")
    try:
        ray.init(
            logging_level=logging.WARNING,
            log_to_driver=False,  # Workers send the user's messages to the driver; the rest is in Ray's logs.
            runtime_env=None if _SUBMITTED_VARIABLE in os.environ else {"env_vars": {"PYTHONPATH": worker_path(), UTF8_VARIABLE: "1"}},
        )
    except ray.exceptions.AuthenticationError as error:
        token = f"set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file with its token (HOME is {home_folder()})"
        raise ConfigurationError(f"the Ray at RAY_ADDRESS={address} does not accept this process: {token}") from error
    except (ConnectionError, ray.exceptions.RpcError) as error:
        raise ConfigurationError(f"what answers at RAY_ADDRESS={address} is no Ray that can be joined: {error}; {_CORRECT}") from error


def _start(num_cpus: int | None, object_store_bytes: int) -> None:
    import ray

    from scaleout.compat.ray_internals import own_sessions

    # Processes of a Ray that is started here inherit it. A runtime environment would have the same effect, but each process would
    # wait for it, and those that Ray starts in advance could not be used.
    os.environ["PYTHONPATH"] = worker_path()
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:  # without a token Ray writes one below HOME, which may not be possible
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    with own_sessions():
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level=logging.WARNING,
            log_to_driver=False,
            num_cpus=num_cpus,
            object_store_memory=object_store_bytes,
            _temp_dir=None if "RAY_TMPDIR" in os.environ else str(Path(short_temporary_folder(), "ray")),
        )


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
