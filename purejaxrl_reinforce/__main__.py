"""The process of the command line: `python -m purejaxrl_reinforce` and purejaxrl-reinforce."""

import gc
import signal
import sys

from purejaxrl_reinforce.output.streams import lost_output, open_streams

# Imports and tracing make a million objects that stay; looking for garbage among them again and
# again, as Python does by default, would take a sixth of a short command.
_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def main() -> int:
    """Run the command line as a process of its own; return its exit code."""
    # Until a run has something to save, Ctrl-C ends the process at once, even inside XLA.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    streams = open_streams()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    from purejaxrl_reinforce.cli.main import main as run

    try:
        return run() or lost_output(streams)
    finally:
        gc.freeze()  # the last collections find nothing to do, and take no half second


if __name__ == "__main__":
    sys.exit(main())
