"""The command line in real processes, for tests of what a process can suffer."""

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
LOST = (
    "error: another process has ended or cannot be reached; restart all processes: train --resume"
    " RUN resumes from the latest checkpoint"
)
# What gloo, which moves arrays between CPUs, prints by itself.
GREETING = "[Gloo] Rank "


def run_python(*arguments, cwd=None, timeout=400, **variables):
    """Run Python to its end; return how it ended. `variables` are those of the environment."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=cwd, timeout=timeout, capture_output=True,
        text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT), **variables},
    )  # fmt: skip


class Command:
    """A running command line, in a directory to which it prints, with so many CPU devices.

    `code` is Python to run instead of the package; `variables` are those of the environment.
    """

    def __init__(self, *arguments, directory, devices=1, code=None, **variables):
        self._outputs = [directory / f"{time.monotonic_ns()}.{name}" for name in ("out", "err")]
        run = ["-m", "purejaxrl_reinforce"] if code is None else ["-c", code]
        variables |= {"PYTHONPATH": str(ROOT), "JAX_NUM_CPU_DEVICES": str(devices)}
        with self._outputs[0].open("w") as out, self._outputs[1].open("w") as err:
            self._process = subprocess.Popen(
                [sys.executable, *run, *map(str, arguments)],
                env=os.environ | variables, stdout=out, stderr=err, cwd=directory,
            )  # fmt: skip
        self.pid, self.poll = self._process.pid, self._process.poll

    @property
    def output(self):
        """What it has written to standard output so far, without gloo's greeting."""
        lines = self._outputs[0].read_text().splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(GREETING))

    @property
    def errors(self):
        """What it has written to standard error so far."""
        return self._outputs[1].read_text()

    def send_signal(self, number):
        self._process.send_signal(number)

    def kill(self):
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def wait(self, timeout=180):
        """Wait for its end; return exit code, output and errors."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        return self.poll(), self.output, self.errors


@contextlib.contextmanager
def pair(*arguments, directory, second=(), cluster=False):
    """Give two processes with one device each that do one thing; leave none of them behind.

    They are started by hand, or as SLURM would on one host. `second` are further options of the
    second process.
    """
    port, both = free_port(), []
    for number in (0, 1):
        options = ["--coordinator", f"127.0.0.1:{port}", "--num-processes", 2]
        options += ["--process-id", number]
        slurm = {
            "SLURM_JOB_ID": "1",
            "SLURM_STEP_NODELIST": "localhost",
            "SLURM_NTASKS": "2",
            "SLURM_PROCID": str(number),
            "SLURM_LOCALID": str(number),
            "JAX_COORDINATOR_PORT": str(port),
        }
        options, variables = ([], slurm) if cluster else (options, {})
        further = second if number else ()
        both.append(Command(*arguments, *options, *further, directory=directory, **variables))
    try:
        yield both
    finally:
        for process in both:
            if process.poll() is None:
                process.kill()


@contextlib.contextmanager
def full_disk(size):
    """Let no file grow beyond so many bytes, in this process and those that it starts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def wait_until(condition, process=None, timeout=180):
    """Wait until a condition holds, or a process has ended."""
    deadline = time.monotonic() + timeout
    while not condition() and (process is None or process.poll() is None):
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.02)


def num_rows(run_dir):
    """Return how many updates the metrics of a run directory have, 0 where it has no metrics."""
    path = run_dir / "metrics.csv"
    return max(path.read_text().count("\n") - 1, 0) if path.exists() else 0


def wait_for_rows(process, run_dir, rows):
    """Wait until the run has done so many updates, or its process has ended."""
    wait_until(lambda: num_rows(run_dir) >= rows, process)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
