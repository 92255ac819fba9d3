"""The process of the command line: `python -m purejaxrl_reinforce` and purejaxrl-reinforce."""

import gc
import io
import os
import signal
import sys
from typing import Any

# Imports and tracing make a million objects that stay; looking for garbage among them again and
# again, as Python does by default, would take a sixth of a short command.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


class _LossyFile(io.FileIO):
    """A file that drops text that cannot be written, on a full disk or without a reader.

    Attributes:
        lost: whether anything was dropped, by any of them.
    """

    lost = False

    def write(self, data: Any) -> int:
        """Write or drop bytes; return how many."""
        try:
            return super().write(data)
        except OSError:
            _LossyFile.lost = True
            return memoryview(data).nbytes


def main() -> int:
    """Run the command line as a process of its own; return its exit code.

    Output that cannot be printed costs no results; the code is then 1 instead of 0.
    """
    # Until a run has something to save, Ctrl-C ends the process at once, even inside XLA.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _open_streams()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from purejaxrl_reinforce.cli.main import main as run

    try:
        code = run()
        sys.stdout.flush()
        if _LossyFile.lost:
            print("error: not all of the output could be printed", file=sys.stderr)
        return code or int(_LossyFile.lost)
    finally:
        gc.freeze()  # the last collections find nothing to do, and take no half second


def _open_streams() -> None:
    """Open standard output and error anew, so that they never raise.

    Closed ones lead nowhere, so that no file that is opened later gets their numbers.
    """
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)
    for number, name in ((1, "stdout"), (2, "stderr")):
        encoding = getattr(getattr(sys, name), "encoding", "utf-8")  # of None there is none
        file = _LossyFile(number, "w", closefd=False)
        text = io.TextIOWrapper(
            io.BufferedWriter(file),
            encoding,
            "backslashreplace",
            None,
            number == 2 or file.isatty(),
        )
        setattr(sys, name, text)


if __name__ == "__main__":
    sys.exit(main())
