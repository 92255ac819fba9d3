"""Progress on standard error: a live bar, or plain lines where there is no terminal."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

# Of amounts done, their total, the seconds that they took, and a text that says it.
Show = Callable[[int, int, float, str], None]
_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def progress(what: str, done: int = 0, quiet: bool = False) -> Iterator[Show]:
    """Give a function that shows how far something has come.

    Args:
        what: is counted, for the bar.
        done: of it at the start.
        quiet: show nothing.
    """
    console = Console(stderr=True, quiet=quiet)
    if not console.is_terminal:
        yield _plain_lines(console, done)
        return
    columns = (TextColumn(what), BarColumn(bar_width=20), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)

        def show(done: int, total: int, _seconds: float, text: str) -> None:
            bar.update(task, completed=done, total=total, description=escape(text))

        yield show


def _plain_lines(console: Console, shown: int) -> Show:
    """Print a line whenever another tenth is done, or ten seconds have passed."""
    shown_at = 0.0

    def show(done: int, total: int, seconds: float, text: str) -> None:
        nonlocal shown, shown_at
        another_tenth = done * 10 // total > shown * 10 // total
        if another_tenth or seconds > shown_at + _SECONDS_BETWEEN_LINES:
            shown, shown_at = done, seconds
            console.print(text, highlight=False, markup=False, soft_wrap=True)

    return show


def duration(seconds: float) -> str:
    """Return `0:07`, `12:30`, `1:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
