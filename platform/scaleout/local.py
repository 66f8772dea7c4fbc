"""One machine as a cluster: ``python -m scaleout.local submit -- python jobs/pretrain.py …``.

Submits a job as to a cluster (``ray job submit`` with a snapshot of the working directory). If ``RAY_ADDRESS`` or
``RAY_API_SERVER_ADDRESS`` names a cluster, the job goes there. Otherwise a Ray head runs on loopback for the duration of the
job, with its own ports, folder and token, so it neither joins nor disturbs another Ray on the machine.

SIGTERM, Ctrl-C and a closed terminal stop a job of that head like ``ray job stop``: a training run saves a checkpoint first.
"""

import ctypes
import http.client
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser

from medvlp.errors import ConfigurationError, MedvlpError
from scaleout.cluster import ANSWER_SECONDS, check_answers, named_cluster
from scaleout.environment import settle_environment, short_temporary_folder
from scaleout.signals import Stopped, exit_status, handle_stops

HEAD_LOG = "head.log"

_LOOPBACK = "127.0.0.1"
_READY_POLL_SECONDS = 0.1
_STOP_SECONDS = 15.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Head:
    """A running Ray head."""

    address: str
    """Address of the cluster, as ``ray.init(address=…)`` accepts it."""
    dashboard: str
    """URL of the dashboard and the job server."""
    folder: Path
    """Folder of sessions and logs."""
    environment: Mapping[str, str]
    """Everything that a process needs to reach this head and to find this Python: addresses, token, loopback only, PATH."""

    def get(self, path: str, method: str = "GET") -> Any:
        """Return the JSON response of the dashboard."""
        headers = {"Authorization": f"Bearer {self.environment['RAY_AUTH_TOKEN']}"}
        request = urllib.request.Request(self.dashboard + path, headers=headers, method=method)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # ignores any proxy of the network
        with direct.open(request, timeout=5) as response:
            return json.load(response)


@contextmanager
def head(cpus: int | None = None, start_seconds: float = 60.0) -> Iterator[Head]:
    """Start a Ray head and stop it at the end; its folder, with Ray's logs, is kept if the block raises an error.

    If this process is killed, the kernel terminates the head, and with it its jobs.

    Args:
        cpus: its logical CPUs; all of the machine's, but at least 2, if None: training and its data need one each.
        start_seconds: timeout for its start.
    """
    with _temporary_folder() as folder, (folder / HEAD_LOG).open("wb") as log:
        started = _configure(folder)
        process = subprocess.Popen(
            _start_command(started, cpus or max(2, os.cpu_count() or 2)),
            env=started.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            **_DETACHED,
        )
        try:
            _wait_until_ready(started, process, start_seconds)
            yield started
        finally:
            _stop(process)


class JobError(MedvlpError):
    """A submitted job did not succeed."""

    def __init__(self, message: str, exit_status: int) -> None:
        super().__init__(message)
        self.exit_status = exit_status


def submit(
    command: Sequence[str],
    name: str | None = None,
    working_dir: Path = Path(),
    runtime_env: Path = Path("runtime_env.yaml"),
    cpus: int | None = None,
) -> None:
    """Submit a command as a Ray job and show its output until it ends.

    The job runs in a snapshot of the working directory: output to keep needs an absolute path or a URI.

    Args:
        command: the command, found on the cluster's PATH; with a head that is started here, ``python`` is this Python.
        name: a readable prefix of the job's id, which is made unique.
        working_dir: folder for the snapshot: the root of the repository.
        runtime_env: Ray runtime environment of the job; see Ray's documentation.
        cpus: logical CPUs of a head that is started here; by default all of the machine's, but at least 2.

    Raises:
        JobError: the job failed or was stopped.
    """
    job = f"{name or 'job'}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    arguments = [f"--submission-id={job}", f"--working-dir={working_dir}", f"--runtime-env={runtime_env}", "--", *command]
    if _names_cluster():
        _submit_to_cluster(job, arguments)
    else:
        with head(cpus) as started:
            _submit_to_head(job, arguments, started)


def free_ports(count: int) -> list[int]:
    """Return free loopback ports; all are held at the same time, so no two are equal."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((_LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status of the job."""
    arguments = sys.argv[1:] if arguments is None else arguments
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    settings = _parser().parse_args(list(arguments[:end]))
    if not (command := arguments[end + 1 :]):
        _parser().error("the command to submit is missing: … submit -- python jobs/pretrain.py …")
    settle_environment()
    try:
        with handle_stops():
            submit(command, **settings.submit.as_dict())
    except JobError as error:
        print(error, file=sys.stderr)
        return error.exit_status
    except MedvlpError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except Stopped:
        return exit_status()
    return 0


def _parser() -> ArgumentParser:
    submit_parser = ArgumentParser(usage="%(prog)s [options] -- COMMAND …")
    submit_parser.add_function_arguments(submit, skip={"command"})
    parser = ArgumentParser(prog="python -m scaleout.local", description="One machine as a cluster.")
    parser.add_subcommands().add_subcommand("submit", submit_parser, help="run a command as a Ray job")
    return parser


def _names_cluster() -> bool:
    """Return whether the environment names a cluster, which must answer: Ray's own client would wait for minutes.

    Raises:
        ConfigurationError: nothing answers there.
    """
    server, address = os.environ.get("RAY_API_SERVER_ADDRESS", ""), named_cluster()
    variable = "RAY_API_SERVER_ADDRESS" if server else "RAY_ADDRESS"
    if not (url := server or address).startswith(("http://", "https://")):
        if url:
            check_answers(url, variable)
        return bool(url)
    try:
        urllib.request.urlopen(f"{url.rstrip('/')}/api/version", timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError, http.client.HTTPException) as error:
        # Ray's own client explains what a server says that does not accept this user.
        if not isinstance(error, urllib.error.HTTPError) or error.code not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise ConfigurationError(f"no Ray job server answers at {variable}={url} ({error}); correct or unset the variable") from error
    return True


def _submit_to_cluster(job: str, arguments: Sequence[str]) -> None:
    client = _client(arguments, os.environ)
    try:
        status = client.wait()
    except Stopped:
        client.kill()
        client.wait()
        print(f"\njob {job} continues in the cluster; to stop it: ray job stop {job}", file=sys.stderr)
        raise
    if status:
        raise JobError(f"job {job} did not succeed; to see more: ray job logs {job}", status)


def _submit_to_head(job: str, arguments: Sequence[str], started: Head) -> None:
    client = _client(arguments, started.environment)
    try:
        status = client.wait()
    except Stopped:
        _stop_job(job, started, client)
        raise
    if status:
        raise JobError(f"job {job} did not succeed; Ray's logs are kept in {started.folder}", _exit_status(job, started))


def _stop_job(job: str, started: Head, client: "subprocess.Popen[bytes]") -> None:
    """Stop the job like ``ray job stop`` and show its output until it has ended."""
    try:
        started.get(f"/api/jobs/{job}/stop", method="POST")
    except OSError:  # the job does not exist yet, or the head died
        client.kill()
    client.wait()


def _exit_status(job: str, started: Head) -> int:
    """Return the exit status of the job's own command, which ``ray job submit`` reduces to 1."""
    try:
        return started.get(f"/api/jobs/{job}").get("driver_exit_code") or 1
    except OSError:  # the head died, and the job with it
        return 1


def _client(arguments: Sequence[str], environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start ``ray job submit``, which follows the job's output."""
    return subprocess.Popen(_ray("job", "submit", *arguments), env=dict(environment), **_DETACHED)


def _die_with_parent() -> None:
    """Have the kernel terminate this process when the thread that started it ends.

    Not by SIGKILL: Ray's head then stops the drivers of its jobs, which would otherwise live on.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_libc = ctypes.CDLL(None)  # loaded here: between fork and exec a process should do little
_DETACHED: dict[str, Any] = {"start_new_session": True, "preexec_fn": _die_with_parent}
"""For processes that signals to this process's group must not reach, and that must not outlive this process."""


def _wait_until_ready(started: Head, process: "subprocess.Popen[bytes]", seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            started.get("/api/version")
            return
        except (OSError, ValueError):  # not listening yet, or no valid response yet
            time.sleep(_READY_POLL_SECONDS)
    raise MedvlpError(f"Ray's head did not start; see {started.folder / HEAD_LOG} and the session logs next to it")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End the head and its process group: SIGTERM first, SIGKILL after a timeout."""
    deadline = time.monotonic() + _STOP_SECONDS
    process.terminate()
    while time.monotonic() < deadline:
        process.poll()  # reaps it: a zombie would still count as a member of the group
        if not _group_lives(process.pid):
            return
        time.sleep(_READY_POLL_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="medvlp-", dir=short_temporary_folder()))
    failed = False
    try:
        yield folder
    except Exception:
        failed = True
        raise
    finally:
        if not failed:
            shutil.rmtree(folder, ignore_errors=True)


def _configure(folder: Path) -> Head:
    gcs, dashboard = free_ports(2)
    token = secrets.token_hex(32)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_ADDRESS", "RAY_AUTH", "RAY_JOB"))}
    environment |= {
        "RAY_ADDRESS": f"{_LOOPBACK}:{gcs}",
        "RAY_API_SERVER_ADDRESS": f"http://{_LOOPBACK}:{dashboard}",
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": token,
        # Ray replaces 127.0.0.1 by the machine's public address unless clusters are switched off.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        # There is no other node to move work to: stop at once.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        **{name: ",".join(filter(None, [os.environ.get(name), _LOOPBACK])) for name in ("NO_PROXY", "no_proxy")},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    return Head(environment["RAY_ADDRESS"], environment["RAY_API_SERVER_ADDRESS"], folder, environment)


def _start_command(started: Head, cpus: int) -> list[str]:
    client, listen, grpc, runtime, metrics = free_ports(5)
    return [
        *_ray("start", "--head", "--block", "--disable-usage-stats", "--include-dashboard=true"),
        f"--node-ip-address={_LOOPBACK}",
        f"--port={started.address.rpartition(':')[2]}",
        f"--dashboard-host={_LOOPBACK}",
        f"--dashboard-port={started.dashboard.rpartition(':')[2]}",
        # Without these, Ray uses fixed ports, which a second head would find occupied.
        f"--ray-client-server-port={client}",
        f"--dashboard-agent-listen-port={listen}",
        f"--dashboard-agent-grpc-port={grpc}",
        f"--runtime-env-agent-port={runtime}",
        f"--metrics-export-port={metrics}",
        f"--temp-dir={started.folder}",
        f"--num-cpus={cpus}",
    ]


def _ray(*arguments: str) -> list[str]:
    """Return a command for the Ray of this Python, independent of the PATH."""
    return [sys.executable, "-m", "ray.scripts.scripts", *arguments]


if __name__ == "__main__":
    sys.exit(main())
