"""SIGINT and SIGTERM as a request to stop, which training follows between two chunks."""

import os
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from purejaxrl_reinforce.execution.processes import max_over_processes, run_on_primary
from purejaxrl_reinforce.output.interruption import never_lost

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal arrived before there was anything to save; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


class StopRequest:
    """While entered, the first SIGINT or SIGTERM is noted; a further SIGINT ends the process.

    It raises Interrupted at once unless `deferred` is set: then whoever set it checks `signal`.
    A further SIGINT takes effect at once, even while compiled code runs: a thread of its own
    watches, since Python's handlers wait for the main thread. Outside the main thread, where no
    handler can be set, signals are left alone.

    Attributes:
        signal: number of the first signal, None before one.
        deferred: whether that signal is only noted.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.deferred = False
        self._previous: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)
        self._previous_fd = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        self._never_lost = never_lost(self._interrupt)
        self._never_lost.__enter__()
        threading.Thread(target=_watch, args=(self._read_end,), daemon=True).start()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._previous:
            self._never_lost.__exit__(None, None, None)
        if self.signal is not None and not self.deferred and isinstance(error, Exception):
            # Some import on the way made another exception of it.
            raise Interrupted(self.signal) from None
        # A process that was told to stop is on its way out. Another Ctrl-C must then not meet
        # Python's own handler, which would print a traceback out of some exit function.
        if not self._previous or self.signal is not None:
            return
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        os.close(self._write_end)  # which ends the watching thread

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is None:
            self.signal = number
            self._interrupt()

    def _interrupt(self) -> None:
        if self.signal is not None and not self.deferred:
            raise Interrupted(self.signal)


def stop_signal(stop: StopRequest) -> int | None:
    """Return the signal received on any process, None without one; the same on all processes."""
    (number,) = max_over_processes(stop.signal or 0)
    return int(number) or None


def raise_if_stopped(stop: StopRequest) -> None:
    """Act on a deferred signal on all processes at once.

    Raises:
        Interrupted: a signal was received.
        PeerFailedError: likewise, and this is not the primary process.
    """
    number = stop_signal(stop)

    def interrupt() -> None:
        assert number is not None
        raise Interrupted(number)

    if number is not None:
        run_on_primary(interrupt)


def _watch(read_end: int) -> None:
    """End the process at the first SIGINT that is not the first signal."""
    stopping = False
    while received := os.read(read_end, 1):
        number = received[0]
        if stopping and number == signal.SIGINT:
            os.write(2, b"stopped at once\n")
            os._exit(128 + number)
        stopping = stopping or number in _SIGNALS
    os.close(read_end)
