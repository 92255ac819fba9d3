"""Progress on standard error: a live view, or plain lines where there is no terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console, RenderableType
from rich.live import Live

# Of amounts done, their total, the seconds that they took, a text that says it, and whether it
# is shown in any case.
ShowLine = Callable[[int, int, float, str, bool], None]
_SECONDS_BETWEEN_LINES = 10.0
_DRAWN_PER_SECOND = 3


def has_terminal() -> bool:
    """Return whether standard error is a terminal, which can show a live view."""
    return Console(stderr=True).is_terminal


@contextlib.contextmanager
def live(view: RenderableType, transient: bool = False) -> Iterator[None]:
    """Show a view, drawn again a few times a second by a thread of its own.

    Args:
        view: what is shown; its last state stays.
        transient: nothing stays.
    """
    console = Console(stderr=True)
    with Live(
        view,
        console=console,
        refresh_per_second=_DRAWN_PER_SECOND,
        transient=transient,
        redirect_stdout=sys.stdout.isatty(),  # what goes elsewhere is not for the terminal
    ):
        console.show_cursor(True)  # a process that a second Ctrl-C ends could not do that
        yield


def plain_lines(shown: int = 0) -> ShowLine:
    """Give a function that prints a line whenever another tenth is done, or ten seconds passed.

    Args:
        shown: what is done at the start.
    """
    console, shown_at = Console(stderr=True), 0.0

    def show(done: int, total: int, seconds: float, text: str, at_once: bool) -> None:
        nonlocal shown, shown_at
        another_tenth = done * 10 // total > shown * 10 // total
        if at_once or another_tenth or seconds > shown_at + _SECONDS_BETWEEN_LINES:
            shown, shown_at = done, seconds
            console.print(text, highlight=False, markup=False, soft_wrap=True)

    return show


def duration(seconds: float) -> str:
    """Return `0:07`, `12:30`, `1:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def waiting(seconds: float) -> str:
    """Return a time that people wait: `12 s`, `1:05 min`."""
    return f"{seconds:.0f} s" if seconds < 59.5 else f"{duration(seconds)} min"
