"""The process of the command line: `python -m purejaxrl_reinforce` and purejaxrl-reinforce.

From here on Ctrl-C is one line and exit code 130, whatever is being imported.
"""

import atexit
import gc
import os
import signal
import sys
from types import FrameType

from purejaxrl_reinforce.output.interruption import never_lost
from purejaxrl_reinforce.output.streams import lost_output, open_streams

# Their imports come before anything is written.
_STARTING = (
    "__main__",
    f"{__package__}.__main__",
    f"{__package__}.cli",
    f"{__package__}.algorithm",
)

# Imports and tracing make a million objects that stay; looking for garbage among them again and
# again, as Python does by default, would take a sixth of a short command.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000

_interrupted = False
_code = 0


def main() -> int:
    """Run the command line as a process of its own; return its exit code."""
    global _code
    atexit.register(_leave)  # before all others, and so run after them
    signal.signal(signal.SIGINT, _interrupt)
    streams = open_streams()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    try:
        with never_lost(_raise):
            from purejaxrl_reinforce.cli.main import main as run

            _code = run() or lost_output(streams)
            return _code
    except BaseException:
        if _interrupted:  # inside of an import, which made another exception of it
            _end_at_once()
        raise
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # everything is written
        gc.freeze()  # the last collections find nothing to do, and take no half second


def _interrupt(_number: int, frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    if _is_starting(frame):
        _end_at_once()
    _raise()


def _raise() -> None:
    raise KeyboardInterrupt


def _is_starting(frame: FrameType | None) -> bool:
    """Return whether an import of the command line is under way, which must not be unwound.

    Modules turn exceptions into others, or print them.
    """
    importing = False
    while frame is not None:
        if importing and frame.f_globals.get("__name__", "").startswith(_STARTING):
            return True
        importing = frame.f_code.co_filename.startswith("<frozen importlib")
        frame = frame.f_back
    return False


def _leave() -> None:
    """End an interrupted process here: XLA may be compiling in threads that the end would crash."""
    if _code > 128:
        os._exit(_code)  # what was printed has been flushed


def _end_at_once() -> None:
    os.write(2, b"interrupted; nothing was written\n")
    os._exit(128 + signal.SIGINT)


if __name__ == "__main__":
    sys.exit(main())
