"""Connection to the other processes of a run."""

import contextlib
import os
import re
import socket
import sys
import threading
import warnings

import jax

from purejaxrl_reinforce.execution.jax_private import CLUSTERS

# How long to wait for the others to start, and when to say so; after how much silence one of them
# counts as lost.
CONNECT_SECONDS = 120
PATIENCE_SECONDS = 20
SILENCE_SECONDS = 30


def connect(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Join the processes that are named, or else those that a cluster started with this one.

    Without either there is a single process; so is there with `num_processes` of 1 alone. Call this
    before jax is used. Where one of them is missing, jax may end the process with a log of its own,
    after CONNECT_SECONDS.

    Raises:
        ValueError: the arguments do not go together, or the processes cannot be connected.
    """
    _check(coordinator, num_processes, process_id)
    if num_processes == 1 or (num_processes is None and not _in_cluster()):
        return
    if coordinator is not None and process_id == 0:
        _require_free_port(coordinator)
    # It would take SIGTERM for itself, and knows no other signal.
    jax.config.update("jax_enable_preemption_service", False)
    where = "" if coordinator is None else f" at {coordinator}"
    message = f"waiting for {num_processes or 'all'} processes to connect{where}"
    waiting = threading.Timer(PATIENCE_SECONDS, print, [message], {"file": sys.stderr})
    waiting.daemon = True
    waiting.start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            # On this address alone: the service has no authentication.
            coordinator_bind_address=coordinator,
            initialization_timeout=CONNECT_SECONDS,
            heartbeat_timeout_seconds=SILENCE_SECONDS,
        )
    except Exception as error:  # each kind of cluster has its own
        reason = str(error).splitlines()[0]
        raise ValueError(f"cannot connect to the other processes: {reason}") from None
    finally:
        waiting.cancel()


def _check(coordinator: str | None, num_processes: int | None, process_id: int | None) -> None:
    """Raise ValueError unless the arguments of `connect` are complete and go together."""
    given = (coordinator, num_processes, process_id)
    if given in ((None, None, None), (None, 1, None)):
        return
    if coordinator is None or num_processes is None or process_id is None:
        raise ValueError("--coordinator, --num-processes and --process-id belong together")
    if process_id not in range(num_processes):
        raise ValueError(
            f"--process-id must be at least 0 and below --num-processes, {num_processes},"
            f" not {process_id}"
        )
    if not re.fullmatch(r".+:\d{1,5}", coordinator):
        raise ValueError(f"--coordinator must be HOST:PORT, not {coordinator!r}")


def _in_cluster() -> bool:
    """Return whether jax knows the environment, and there are other processes in it."""
    if os.environ.get("SLURM_STEP_NUM_TASKS") == "1":
        return False  # the job has several tasks, but a shell or script started this one alone
    with contextlib.suppress(Exception), warnings.catch_warnings():
        # Any program can find itself in Kubernetes; one that is no indexed job stays alone.
        warnings.simplefilter("ignore")
        present = next((kind for kind in CLUSTERS if kind.is_env_present()), None)
        return present is not None and present.get_process_count() > 1
    return False


def _require_free_port(coordinator: str) -> None:
    """Raise ValueError where jax, which has to listen there, would crash."""
    host, _, port = coordinator.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host.strip("[]"), int(port)), family=family).close()
    except (OSError, OverflowError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).partition(" (while")[0]
        raise ValueError(f"cannot listen on --coordinator {coordinator}: {reason}") from None
