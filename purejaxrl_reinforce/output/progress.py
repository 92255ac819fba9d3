"""Progress on standard error: a bar and a line below it, or plain lines without a terminal."""

import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

_SECONDS_BETWEEN_LINES = 10.0
_DRAWN_PER_SECOND = 3


class Board(Progress):
    """The progress of a run or a sweep, shown while the board is entered.

    On a terminal, a thread of rich draws a bar, the time elapsed and left, and below them a line
    with the results so far. Elsewhere such a line is printed whenever another tenth is done, or
    ten seconds passed.

    Args:
        doing: shown before the bar.
        done: amount done at the start.
        quiet: whether nothing is shown.
        transient: whether nothing of it stays on the terminal.
    """

    def __init__(
        self, doing: str, done: int = 0, *, quiet: bool = False, transient: bool = False
    ) -> None:
        console = Console(stderr=True)
        super().__init__(
            TextColumn("{task.description}", markup=False),
            BarColumn(None, complete_style="cyan", finished_style="cyan"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}", markup=False),
            console=console,
            disable=quiet or not console.is_interactive,
            expand=True,
            redirect_stdout=sys.stdout.isatty(),  # a file or a pipe stays as it is
            refresh_per_second=_DRAWN_PER_SECOND,
            transient=transient,
        )
        self._has_lines = not (quiet or console.is_interactive)
        self._first, self._shown, self._shown_at = done, done, 0.0
        self._task = self.add_task(doing, total=None, left="", text="")

    def start(self) -> None:
        """Show the board."""
        super().start()
        if not self.disable:
            self.console.show_cursor(True)  # a process that a second Ctrl-C ends could not do that

    def get_renderables(self) -> Iterable[RenderableType]:
        """Return the bar, and the line below it."""
        yield from super().get_renderables()
        yield from (Text(task.fields["text"]) for task in self.tasks if task.fields["text"])

    def show(
        self, doing: str, done: int, total: int, seconds: float, text: str, at_once: bool = False
    ) -> None:
        """Show the progress, and `text` below it.

        Args:
            seconds: spent since the start.
            at_once: whether a plain line is printed in any case.
        """
        if not seconds:  # nothing was done since the start
            self._first = done
        per_one = seconds / max(1, done - self._first)
        left = f"{duration(per_one * (total - done))} left" if done > self._first else ""
        fields: Any = {"left": left, "text": text}
        self.update(self._task, description=doing, completed=done, total=total, **fields)
        another_tenth = done * 10 // total > self._shown * 10 // total
        waited = seconds > self._shown_at + _SECONDS_BETWEEN_LINES
        if self._has_lines and (at_once or another_tenth or waited):
            self._shown, self._shown_at = done, seconds
            line = "  ".join(filter(None, [doing, text, left]))
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Return `0:07`, `12:30`, `1:05:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
