"""Interruptions that Python could only print."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

_SECONDS = 0.01


@contextlib.contextmanager
def never_lost(interrupt: Callable[[], None]) -> Iterator[None]:
    """Call `interrupt`, which may raise, a moment after a KeyboardInterrupt was lost.

    A signal's handler can run inside a finalizer or a callback of the garbage collector. What it
    raises there ends nothing: Python prints it as ignored and goes on. For the main thread only.
    """
    previous_hook = sys.unraisablehook
    previous_handler = signal.getsignal(signal.SIGALRM)

    def retry(lost: "sys.UnraisableHookArgs") -> None:
        if isinstance(lost.exc_value, KeyboardInterrupt):
            signal.signal(signal.SIGALRM, at_alarm)
            signal.setitimer(signal.ITIMER_REAL, _SECONDS)
        else:
            previous_hook(lost)

    def at_alarm(_number: int, _frame: FrameType | None) -> None:
        interrupt()

    sys.unraisablehook = retry
    try:
        yield
    finally:
        sys.unraisablehook = previous_hook
        if signal.getsignal(signal.SIGALRM) is at_alarm:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous_handler)
