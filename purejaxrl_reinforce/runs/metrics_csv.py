"""metrics.csv: one row per update, appended while training."""

import csv
import io
from pathlib import Path
from typing import Any

from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.output.files import atomic_write

# `finite` is left out: an update where it is false ends the run and has no row.
_METRIC_COLUMNS = tuple(name for name in Metrics._fields if name not in ("env_steps", "finite"))

COLUMNS = ("update", "env_steps", "seconds", *_METRIC_COLUMNS)


class MetricsFile:
    """The table of one run's metrics.

    Columns: `update` counts from 1; `env_steps` is the exact number of valid environment steps so
    far; `seconds` is training time so far, compilation apart; the others are the fields of
    `Metrics`.

    Attributes:
        env_steps: valid environment steps so far.
        seconds: training time so far.
        returns: mean, smallest and largest episode return of each update so far.
        last_row: the row that was added last, by column.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.env_steps = 0
        self.seconds = 0.0
        self.returns: list[tuple[float, float, float]] = []
        self.last_row: dict[str, float] = {}

    def create(self) -> None:
        """Write the header."""
        with atomic_write(self._path) as unfinished:
            unfinished.write_text(_line(COLUMNS))

    def cut(self, num_updates: int) -> None:
        """Go on after the first `num_updates` updates of an existing file; drop the others.

        Raises:
            ValueError: they are not all there.
        """
        lines = self._complete_lines()[: num_updates + 1]
        rows = list(csv.DictReader(lines))
        try:
            assert [int(row["update"]) for row in rows] == list(range(1, num_updates + 1))
            self.returns = [
                (float(row["mean_return"]), float(row["min_return"]), float(row["max_return"]))
                for row in rows
            ]
            if rows:
                self.env_steps = int(rows[-1]["env_steps"])
                self.seconds = float(rows[-1]["seconds"])
        except (AssertionError, ValueError, TypeError, KeyError):
            raise ValueError(
                f"{self._path} lacks some of the first {num_updates} updates"
            ) from None
        with atomic_write(self._path) as unfinished:
            unfinished.write_text("".join(lines) or _line(COLUMNS))

    def _complete_lines(self) -> list[str]:
        try:
            text = self._path.read_text()
        except (OSError, UnicodeDecodeError):
            raise ValueError(f"{self._path} is missing or damaged") from None
        return text[: text.rfind("\n") + 1].splitlines(keepends=True)

    def add(self, metrics: Metrics, seconds: float) -> None:
        """Append one row per update.

        Args:
            metrics: NumPy arrays [n].
            seconds: that the n updates took together.
        """
        rows = []
        for values in zip(*(column.tolist() for column in metrics), strict=True):
            update: Any = Metrics(*values)
            self.env_steps += update.num_steps
            self.seconds += seconds / len(metrics.num_steps)
            self.returns.append((update.mean_return, update.min_return, update.max_return))
            numbers = (getattr(update, name) for name in _METRIC_COLUMNS)
            rows.append((len(self.returns), self.env_steps, round(self.seconds, 6), *numbers))
        if rows:
            self.last_row = dict(zip(COLUMNS, rows[-1], strict=True))
        # In one piece, so that whoever reads along, or a kill, finds whole lines.
        with self._path.open("ab", buffering=0) as file:
            _write_all(file, "".join(map(_line, rows)).encode())


def _line(values: Any) -> str:
    return ",".join(map(str, values)) + "\n"


def _write_all(file: io.FileIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]
