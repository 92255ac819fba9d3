"""One process of startup.py: the command line, and the seconds that jax says compiling took.

    python benchmarks/startup_process.py STARTED train --quiet ...

prints a JSON object of seconds by stage, of which the first began when `time.monotonic()` was
STARTED, and `end`, when the command returned. Threads other than the main one do not count: it
waits for them.
"""

import json
import sys
import threading
import time
from collections import Counter
from typing import Any

import jax

from purejaxrl_reinforce import __main__ as command
from purejaxrl_reinforce.execution import kept

_EVENTS = {
    "/jax/core/compile/jaxpr_trace_duration": "tracing",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "lowering",
    "/jax/core/compile/backend_compile_duration": "compiling",
}


def main() -> int:
    """Run the command; return its exit code."""
    started = float(sys.argv.pop(1))
    stages: Counter[str] = Counter()

    def note(event: str, seconds: float, **_: Any) -> None:
        if event in _EVENTS and threading.current_thread() is threading.main_thread():
            if not stages:
                stages["imports"] = time.monotonic() - seconds - started
            stages[_EVENTS[event]] += seconds

    def load(*arguments: Any) -> Any:
        before = time.monotonic()
        stages["imports"] = before - started
        compiled = kept_load(*arguments)
        stages["loading"] = time.monotonic() - before
        return compiled

    kept_load, kept.load = kept.load, load
    jax.monitoring.register_event_duration_secs_listener(note)
    code = command.main()
    print(json.dumps(stages | {"end": time.monotonic() - started}))
    return code


if __name__ == "__main__":
    sys.exit(main())
