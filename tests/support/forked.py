"""The command line in real processes that start fast: forks of one that has imported everything.

They can be killed, signaled and limited like any other. Importing gymnax starts JAX and its
threads, which do not survive a fork, so that is left to the forks.
"""

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import time

import jax

from tests.support.processes import free_port

_LIBRARIES = [
    "chex", "flax.linen", "jax.experimental.multihost_utils", "matplotlib.pyplot", "optax",
    "pandas", "purejaxrl_reinforce.cli.main", "purejaxrl_reinforce.runs.train",
    "purejaxrl_reinforce.sweeps.command", "pytest", "rich.live", "rich.table", "scipy.stats",
    "seaborn", "tyro", __name__,
]  # fmt: skip
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_LIBRARIES)


class ForkedCommand:
    """A running command line, with one device unless there is to be another number of them.

    It compiles with optimizations where this process does.

    Args:
        arguments: of the command line.
        directory: for what it prints; also where it runs.
        devices: number of CPU devices.
    """

    def __init__(self, *arguments, directory, devices=1):
        self._outputs = [directory / f"{time.monotonic_ns()}.{name}" for name in ("out", "err")]
        for path in self._outputs:
            path.touch()
        settings = {
            "jax_num_cpu_devices": devices,
            "jax_disable_most_optimizations": jax.config.values["jax_disable_most_optimizations"],
        }
        self._process = _context.Process(
            target=_run,
            args=([str(x) for x in arguments], directory, self._outputs, settings),
        )
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        """Return the exit code as subprocess.Popen has it, None while it runs."""
        return self._process.exitcode

    @property
    def output(self):
        """What it has written to standard output so far."""
        return self._outputs[0].read_text()

    @property
    def errors(self):
        """What it has written to standard error so far."""
        return self._outputs[1].read_text()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)
        self._process.join()

    def wait(self, timeout=120):
        """Wait for its end; return exit code, output and errors."""
        self._process.join(timeout)
        if self.poll() is None:
            self.kill()
            raise TimeoutError(f"still running after {timeout} seconds")
        return self.poll(), self.output, self.errors


@contextlib.contextmanager
def forked_pair(*arguments, directory, second=()):
    """Give two processes with one device each that do one thing; leave none of them behind.

    `second` are further options of the second process.
    """
    together = ["--coordinator", f"127.0.0.1:{free_port()}", "--num-processes", 2, "--process-id"]
    both = [
        ForkedCommand(*arguments, *together, number, *(number * second), directory=directory)
        for number in (0, 1)
    ]
    try:
        yield both
    finally:
        for process in both:
            if process.poll() is None:
                process.kill()


def _run(arguments, directory, outputs, settings):
    for number, path in enumerate(outputs, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND), number)
    os.chdir(directory)
    os.environ["JAX_NUM_CPU_DEVICES"] = str(settings["jax_num_cpu_devices"])
    for name, value in settings.items():
        jax.config.update(name, value)
    from purejaxrl_reinforce.cli.main import main

    try:
        sys.exit(main(arguments))
    finally:
        atexit._run_exitfuncs()
