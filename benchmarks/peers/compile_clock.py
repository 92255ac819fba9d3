"""Seconds that JAX spends tracing and compiling, for a peer that compiles inside its own calls."""

import time

import jax


class CompileClock:
    """Adds up what JAX reports of its tracing, lowering and compiling from now on."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        jax.monitoring.register_event_duration_secs_listener(self._listen)

    def _listen(self, event: str, duration: float, **_: object) -> None:
        if not event.startswith("/jax/core/compile/"):
            return
        end = time.perf_counter()
        start = end - duration
        # Tracing one function traces those that it calls: an outer span replaces the inner ones,
        # which ended before it.
        while self._spans and self._spans[-1][0] >= start:
            self._spans.pop()
        self._spans.append((start, end))

    def seconds(self) -> float:
        """Return the time spent so far, nothing counted twice."""
        return sum(end - start for start, end in self._spans)
