"""One process of startup.py: the command line, and when each stage of `train` ended.

    python benchmarks/startup_process.py STARTED train --quiet ...

prints a JSON object of seconds by stage, of which the first began when `time.monotonic()` was
STARTED. Tracing and lowering are those of the main thread; compiling is all else before training.
"""

import contextlib
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from purejaxrl_reinforce import __main__ as command
from purejaxrl_reinforce.cli.train import Train

_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
}


class Stages:
    """Stands for the command's reporter; notes when each stage ends."""

    def __init__(self, started: float) -> None:
        self.seconds: Counter[str] = Counter()
        self._since = started

    @contextlib.contextmanager
    def compiling(self, *_: Any) -> Iterator[None]:
        import jax

        self._end("imports")
        jax.monitoring.register_event_duration_secs_listener(self._note)
        yield

    @contextlib.contextmanager
    def training(self, *_: Any) -> Iterator[Any]:
        noted = self.seconds["tracing"] + self.seconds["lowering"]
        self._end("compiling")
        self.seconds["compiling"] -= noted
        yield lambda _chunk: None
        self._end("training")

    def ended(self, _: Any) -> None:
        self._end("writing")

    def _end(self, stage: str) -> None:
        now = time.monotonic()
        self.seconds[stage] += now - self._since
        self._since = now

    def _note(self, event: str, seconds: float, **_: Any) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and event in _EVENTS and "compiling" not in self.seconds:
            self.seconds[_EVENTS[event]] += seconds


def main() -> int:
    """Run the command; return its exit code."""
    stages, run = Stages(float(sys.argv.pop(1))), Train.run

    def watched(self: Train) -> int:
        from purejaxrl_reinforce.runs import reporter

        reporter.TerminalReporter = lambda _quiet: stages  # type: ignore[assignment, misc]
        return run(self)

    Train.run = watched  # type: ignore[method-assign]
    code = command.main()
    print(json.dumps(stages.seconds))
    return code


if __name__ == "__main__":
    sys.exit(main())
