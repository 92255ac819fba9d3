"""Real training processes, for tests of what a process can suffer."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOST = (
    "error: another process has ended or cannot be reached; restart all processes: train --resume"
    " RUN resumes from the latest checkpoint, the same sweep command from the last slice"
)


def command(*arguments, **variables):
    """Start the command line with one device and these further environment variables."""
    own = {"JAX_NUM_CPU_DEVICES": "1", **variables}
    return subprocess.Popen(
        [sys.executable, "-m", "purejaxrl_reinforce", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), **own},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def num_rows(run_dir):
    """Return how many updates the metrics of a run directory have, 0 where it has no metrics."""
    path = run_dir / "metrics.csv"
    return max(path.read_text().count("\n") - 1, 0) if path.exists() else 0


def wait_for_rows(process, run_dir, rows, timeout=120):
    """Wait until the run has done so many updates, or its process has ended."""
    deadline = time.monotonic() + timeout
    while num_rows(run_dir) < rows and process.poll() is None:
        assert time.monotonic() < deadline, "training makes no progress"
        time.sleep(0.02)


@contextlib.contextmanager
def killed_at_the_end(started):
    """Leave none of these processes behind, whatever happens."""
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def pair(*arguments, cluster=False):
    """Start two processes with one device each, by hand or as SLURM would on one host."""
    port, started = free_port(), []
    for number in (0, 1):
        by_hand = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", 2]
        by_hand += ["--process-id", number]
        slurm = {
            "SLURM_JOB_ID": "1",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(number),
            "SLURM_LOCALID": str(number),
            "JAX_COORDINATOR_PORT": str(port),
        }
        options, variables = ([], slurm) if cluster else (by_hand, {})
        started.append(command(*arguments, *options, **variables))
    return killed_at_the_end(started)


def ended(process, seconds=90):
    """Wait for the end of a process; return its exit code, output and errors."""
    output, errors = process.communicate(timeout=seconds)
    return process.returncode, output, errors


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
