"""SIGINT and SIGTERM as a request to stop, which training follows between two chunks."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C in the block, also where it would end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class StopRequest:
    """While entered, the first SIGINT or SIGTERM is noted, and a SIGINT after it ends the process.

    A thread of its own reads them: handlers of Python wait for the main thread, which may be in
    compiled code for minutes. Outside the main thread, where no handler can be set, signals are
    left alone.

    Attributes:
        signal: number of the first signal, None before one.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._handlers: dict[int, Callable[..., Any] | int | None] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            read_end, self._write_end = os.pipe()
            os.set_blocking(self._write_end, False)
            self._wakeup_fd = signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
            self._handlers = {n: signal.signal(n, lambda *_: None) for n in _SIGNALS}
            threading.Thread(target=self._watch, args=(read_end,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._handlers:
            for number, handler in self._handlers.items():
                signal.signal(number, handler or signal.SIG_DFL)
            signal.set_wakeup_fd(self._wakeup_fd)
            os.close(self._write_end)  # which ends the thread

    def _watch(self, read_end: int) -> None:
        while received := os.read(read_end, 1):
            if self.signal is not None and received[0] == signal.SIGINT:
                os.write(2, b"stopped at once\n")
                os._exit(128 + signal.SIGINT)
            if self.signal is None and received[0] in _SIGNALS:
                self.signal = received[0]
        os.close(read_end)
