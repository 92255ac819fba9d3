"""A process that draws a run's picture, and imports matplotlib while jax starts in this one."""

import importlib
import pickle
import subprocess
import sys
from typing import Any

CURVES = "purejaxrl_reinforce.figures.curves"

# At most one, which waits for its picture.
_processes: list[subprocess.Popen[bytes]] = []


def start() -> None:
    """Start a process that draws the next picture, unless matplotlib is imported here.

    It ends with this process, whatever ends that, as its standard input then does.
    """
    if "matplotlib" in sys.modules or _processes or not sys.executable:
        return
    command, nowhere = [sys.executable, "-m", __name__], subprocess.DEVNULL
    _processes.append(
        # Ctrl-C is for training alone.
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
        )
    )


def is_started() -> bool:
    """Return whether a process waits for a picture."""
    return bool(_processes)


def plot_returns(*arguments: Any) -> None:
    """Draw as `curves.plot_returns` does, in the waiting process, or here if that fails."""
    if _processes:
        process = _processes.pop()
        process.communicate(pickle.dumps(arguments))
        if process.returncode == 0:
            return
    importlib.import_module(CURVES).plot_returns(*arguments)


def _main() -> None:
    curves = importlib.import_module(CURVES)
    if arguments := sys.stdin.buffer.read():
        curves.plot_returns(*pickle.loads(arguments))


if __name__ == "__main__":
    _main()
