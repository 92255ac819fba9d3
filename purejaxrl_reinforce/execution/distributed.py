"""Connection to the other processes of a run, and the end of it when one of them is lost."""

import atexit
import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import jax

from purejaxrl_reinforce.execution.processes import PeerLostError, has_lost_peer

# How long to wait for the others to start; after how much silence one of them counts as lost; and
# how long to wait for them at the end.
CONNECT_SECONDS = 120
SILENCE_SECONDS = 30
LEAVE_SECONDS = 60
# The main thread mostly notices as well that a process is lost, and then it ends in good order.
_GRACE_SECONDS = 3

_NO_XLA_LOG = 4  # one above fatal

# Prefixes of variables by which jax detects a cluster.
_CLUSTER_VARIABLES = ("SLURM_", "OMPI_", "PMI_", "KUBERNETES_", "TPU_", "MEGASCALE_")

_abort_message = ""
_connected = False


def connect(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Join the processes that are named, or else those that a cluster started with this one.

    Without either there is a single process. Call this before jax is used.

    Args:
        coordinator: HOST:PORT where process 0 listens.
        num_processes: how many there are; 1, without the others, stays alone in a cluster.
        process_id: number of this process, from 0.

    Raises:
        ValueError: the arguments are not complete or contradict each other, or the processes cannot
            be connected. Where jax finds that out in a thread of its own, the process ends with
            one line and exit code 1 instead; that takes CONNECT_SECONDS.
    """
    _check(coordinator, num_processes, process_id)
    if num_processes == 1 or (num_processes is None and not _in_cluster()):
        return
    if coordinator is not None and process_id == 0:
        _require_free_port(coordinator)
    # It would take SIGTERM for itself, and knows no other signal.
    jax.config.update("jax_enable_preemption_service", False)
    global _abort_message, _connected
    where = "" if coordinator is None else f" through {coordinator}"
    _abort_message = f"not all processes could be connected{where} in {CONNECT_SECONDS} seconds"
    _end_in_one_line()
    _initialize(coordinator, num_processes, process_id)
    _abort_message, _connected = str(PeerLostError()), True
    _keep_stdout_for_python()
    atexit.register(_skip_shutdown_barrier)  # runs before that of jax


def _initialize(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    try:
        with _interruptible():
            jax.distributed.initialize(
                coordinator,
                num_processes,
                process_id,
                # On this address alone: the service has no authentication.
                coordinator_bind_address=coordinator,
                initialization_timeout=CONNECT_SECONDS,
                heartbeat_timeout_seconds=SILENCE_SECONDS,
                shutdown_timeout_seconds=LEAVE_SECONDS,
            )
    except Exception as error:  # each kind of cluster has its own
        reason = str(error).splitlines()[0]
        raise ValueError(f"cannot connect to the other processes: {reason}") from None


def _check(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Raise ValueError unless the arguments of `connect` are complete and go together."""
    given = [coordinator, num_processes, process_id]
    if given in ([None] * 3, [None, 1, None]):
        return
    names = ["--coordinator", "--num-processes", "--process-id"]
    missing = [name for name, value in zip(names, given, strict=True) if value is None]
    if num_processes is not None and num_processes < 1:
        raise ValueError(f"--num-processes must be at least 1, not {num_processes}")
    if missing:
        raise ValueError(f"{', '.join(names)} belong together; {missing[0]} is missing")
    assert num_processes is not None
    if process_id not in range(num_processes):
        raise ValueError(
            f"--process-id must be from 0 to {num_processes - 1}, below"
            f" --num-processes, not {process_id}"
        )
    host, _, port = str(coordinator).rpartition(":")
    if not host or not port.isdecimal() or int(port) not in range(1, 65536):
        raise ValueError(f"--coordinator must be HOST:PORT, not {coordinator!r}")


def _in_cluster() -> bool:
    """Return whether jax knows the environment, and there are other processes in it.

    Raises:
        ValueError: there may be, but this release of jax does not tell.
    """
    if os.environ.get("SLURM_STEP_NUM_TASKS") == "1":
        return False  # the job has several tasks, but a shell or script started this one alone
    kinds = _kinds_of_cluster()
    with contextlib.suppress(Exception), warnings.catch_warnings():
        # Any program can find itself in Kubernetes; one that is no indexed job stays alone.
        warnings.simplefilter("ignore")
        present = next((kind for kind in kinds if kind.is_env_present()), None)
        return present is not None and present.get_process_count() > 1
    return False


def _kinds_of_cluster() -> list[Any]:
    """Return what jax detects clusters with, which has no public name."""
    try:
        from jax._src.clusters import ClusterEnv

        return [kind for kind in ClusterEnv._cluster_types if not kind.opt_in_only_method]
    except (ImportError, AttributeError):
        if not any(name.startswith(_CLUSTER_VARIABLES) for name in os.environ):
            return []
        raise ValueError(
            f"jax {jax.__version__} does not tell which cluster this is; give --coordinator,"
            " --num-processes and --process-id, or --num-processes 1 for a process by itself"
        ) from None


def _require_free_port(coordinator: str) -> None:
    """Raise ValueError where jax, which has to listen there, would crash."""
    host, _, port = coordinator.rpartition(":")
    host = host.strip("[]")
    try:
        family, *_ = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
        socket.create_server((host, int(port)), family=family).close()
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]
        raise ValueError(f"cannot listen on --coordinator {coordinator}: {reason}") from None


def _end_in_one_line() -> None:
    """From now on let the process end with one line where jax would abort it.

    What jax does from a thread of its own, when a process is lost, is a page of log on standard
    error and abort(), which nothing in Python can prevent.

    The handler waits for the interpreter's lock. That cannot dead-lock: the thread that aborts is
    jax's own and holds no lock of Python's, and whatever in jax may make the main thread wait
    (connecting, collectives, leaving) releases the interpreter's lock first. Once the interpreter
    shuts down, the aborting thread stops at the lock and the main thread goes on to its exit.
    """
    with contextlib.suppress(ImportError, AttributeError):  # else the page of log comes along
        from jax._src.lib import utils

        utils.absl_set_min_log_level(_NO_XLA_LOG)
    set_handler = ctypes.CDLL(None).signal
    set_handler.argtypes, set_handler.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    set_handler(signal.SIGABRT, ctypes.cast(_on_abort, ctypes.c_void_p))


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _on_abort(_number: int) -> None:
    if _connected and threading.current_thread() is not threading.main_thread():
        time.sleep(_GRACE_SECONDS)
        while has_lost_peer():
            time.sleep(_GRACE_SECONDS)  # the main thread has noticed, and is on its way out
    os.write(2, f"error: {_abort_message}\n".encode())
    os._exit(1)


def _skip_shutdown_barrier() -> None:
    """Exit at once if a process is lost: jax would wait for it, and then abort."""
    if has_lost_peer():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let Ctrl-C end the process, which in compiled code would have to wait for its end.

    A thread of its own hears of it at once.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    previous_fd = signal.set_wakeup_fd(write_end)
    previous = signal.signal(signal.SIGINT, lambda *_: None)  # the thread alone acts
    threading.Thread(target=_end_on_interrupt, args=(read_end,), daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        signal.set_wakeup_fd(previous_fd)
        os.close(write_end)


def _end_on_interrupt(read_end: int) -> None:
    while received := os.read(read_end, 1):
        if received[0] == signal.SIGINT:
            os.write(2, b"interrupted; nothing was written\n")
            os._exit(128 + signal.SIGINT)
    os.close(read_end)


def _keep_stdout_for_python() -> None:
    """Gloo, which moves arrays between CPUs, greets on standard output."""
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
