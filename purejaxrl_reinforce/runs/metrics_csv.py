"""metrics.csv: one row per update, appended while training."""

import io
from pathlib import Path
from typing import Any

import numpy as np

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
        num_updates: rows so far.
        env_steps: valid environment steps so far.
        seconds: training time so far.
        last_row: by column; empty before the first.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.num_updates = 0
        self.env_steps = 0
        self.seconds = 0.0
        self.last_row: dict[str, float] = {}
        self._tables = [np.empty((0, len(COLUMNS)))]

    def create(self) -> None:
        """Write the header."""
        with atomic_write(self._path) as unfinished:
            unfinished.write_text(_line(COLUMNS))

    def truncate(self, num_updates: int) -> None:
        """Continue an existing file after its first `num_updates` updates; drop the others.

        Raises:
            ValueError: they are not all there.
        """
        lines = _complete_lines(self._path)[: num_updates + 1] or [_line(COLUMNS)]
        columns = _parse(lines, self._path)
        if tuple(columns) != COLUMNS:
            raise ValueError(f"{self._path} is damaged")
        if not np.array_equal(columns["update"], np.arange(1, num_updates + 1)):
            raise ValueError(f"{self._path} lacks some of the first {num_updates} updates")
        table = np.stack(list(columns.values()), axis=1)
        self._tables, self.num_updates = [table], num_updates
        if num_updates:
            self.last_row = dict(zip(COLUMNS, table[-1].tolist(), strict=True))
            self.env_steps = int(self.last_row["env_steps"])
            self.seconds = self.last_row["seconds"]
        with atomic_write(self._path) as unfinished:
            unfinished.write_text("".join(lines))

    def add(self, metrics: Metrics, seconds: float) -> None:
        """Append one row per update.

        Args:
            metrics: NumPy arrays [n].
            seconds: that the n updates took together.
        """
        rows = []
        for values in zip(*(column.tolist() for column in metrics), strict=True):
            update: Any = Metrics(*values)
            self.num_updates += 1
            self.env_steps += update.num_steps
            self.seconds += seconds / len(metrics.num_steps)
            numbers = (getattr(update, name) for name in _METRIC_COLUMNS)
            rows.append((self.num_updates, self.env_steps, round(self.seconds, 6), *numbers))
        if rows:
            self.last_row = dict(zip(COLUMNS, rows[-1], strict=True))
            self._tables.append(np.array(rows, np.float64))
        # In one piece, so that whoever reads along, or a kill, finds whole lines.
        with self._path.open("ab", buffering=0) as file:
            _write_all(file, "".join(map(_line, rows)).encode())

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All rows by column, each float64 [num_updates]."""
        return dict(zip(COLUMNS, np.concatenate(self._tables).T, strict=True))


def read_metrics(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a metrics.csv by name, each float64 [num_updates].

    A last line that is cut short is left out.

    Raises:
        ValueError: the file cannot be read or is damaged.
    """
    return _parse(_complete_lines(path), path)


def _complete_lines(path: Path) -> list[str]:
    try:
        text = path.read_text()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is damaged") from None
    return text[: text.rfind("\n") + 1].splitlines(keepends=True)


def _parse(lines: list[str], path: Path) -> dict[str, np.ndarray]:
    try:
        header, *rows = (line.rstrip("\n").split(",") for line in lines)
        table = np.array(rows, np.float64).reshape(-1, len(header))
    except ValueError:  # a field is no number, a row has too few or many, or there is no header
        raise ValueError(f"{path} is damaged") from None
    return dict(zip(header, table.T, strict=True))


def _line(values: Any) -> str:
    return ",".join(map(str, values)) + "\n"


def _write_all(file: io.FileIO, content: bytes) -> None:
    while content:
        content = content[file.write(content) :]
