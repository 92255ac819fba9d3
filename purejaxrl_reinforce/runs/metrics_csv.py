"""metrics.csv: one row per update, appended while training, with a checksum in its last column."""

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.output.files import atomic_write, open_regular, sync
from purejaxrl_reinforce.output.sealed import parsing

# `finite` is left out: an update where it is false ends the run and has no row.
_METRIC_COLUMNS = tuple(name for name in Metrics._fields if name not in ("env_steps", "finite"))
COLUMNS = ("update", "env_steps", "seconds", *_METRIC_COLUMNS)

_HEADER = ",".join((*COLUMNS, "crc32")).encode()


class MetricsFile:
    """The table of one run's metrics, which a process writes.

    Columns: `update` counts from 1; `env_steps` is the exact number of valid environment steps so
    far; `seconds` is training time so far, excluding compilation; the others are the fields of
    `Metrics`. The last, `crc32`, is the CRC-32 of the run's identity and all rows up to here,
    without this column.

    Attributes:
        num_updates: rows so far.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path, self._owner = path, owner
        self._tables: list[np.ndarray] = []
        self.num_updates, self._env_steps, self._seconds, self._crc = 0, 0, 0.0, 0

    def read(self) -> None:
        """Count the updates that an existing file has before its end or the first damaged row.

        Raises:
            ValueError: it is another run's.
        """
        if self._path.exists():
            rows, is_whole = _intact_rows(self._path, self._owner)
            if not rows and not is_whole:
                raise ValueError(
                    f"{self._path} belongs to another run, or is damaged in its first row"
                )
            self.num_updates = len(rows)

    def start(self, num_updates: int = 0) -> None:
        """Write the file, with the first `num_updates` of the updates that it has."""
        rows = _intact_rows(self._path, self._owner)[0][:num_updates] if num_updates else []
        self._tables, self.num_updates = [_table(self._path, rows)], num_updates
        self._crc = zlib.crc32(self._owner.encode())
        if rows:
            last = dict(zip(COLUMNS, self._tables[0][-1].tolist(), strict=True))
            self._env_steps, self._seconds = int(last["env_steps"]), last["seconds"]
            self._crc = int(rows[-1].rpartition(b",")[2])
        with atomic_write(self._path) as unfinished:
            unfinished.write_bytes(b"".join(line + b"\n" for line in (_HEADER, *rows)))

    def add(self, metrics: Metrics, seconds: float) -> list[dict[str, float]]:
        """Append one row per update; return them, each by column.

        Args:
            metrics: NumPy arrays [n].
            seconds: that the n updates took together.
        """
        rows: list[tuple[float, ...]] = []
        lines = []
        for values in zip(*(column.tolist() for column in metrics), strict=True):
            update: Any = Metrics(*values)
            self.num_updates += 1
            self._env_steps += update.num_steps
            self._seconds += seconds / len(metrics.num_steps)
            numbers = (getattr(update, name) for name in _METRIC_COLUMNS)
            rows.append((self.num_updates, self._env_steps, round(self._seconds, 6), *numbers))
            text = ",".join(map(str, rows[-1])).encode()
            self._crc = zlib.crc32(text, self._crc)
            lines.append(b"%b,%d\n" % (text, self._crc))
        self._tables.append(np.array(rows, np.float64).reshape(-1, len(COLUMNS)))
        with self._path.open("r+b") as file:  # one that was removed is not made again
            file.seek(0, os.SEEK_END)
            file.write(b"".join(lines))
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]

    def sync(self) -> None:
        """Wait until the rows so far are on disk."""
        sync(self._path)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All rows by column, each float64 [num_updates]."""
        return dict(zip(COLUMNS, np.concatenate(self._tables).T, strict=True))


def read_metrics(path: Path, owner: str) -> dict[str, np.ndarray]:
    """Return the columns of a run's metrics.csv by name, each float64 [num_updates].

    A last line that is cut short is left out.

    Raises:
        ValueError: the file cannot be read, is damaged or another run's.
    """
    try:
        rows, is_whole = _intact_rows(path, owner)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if not is_whole:
        raise ValueError(f"{path} is damaged after update {len(rows)}, or belongs to another run")
    return dict(zip(COLUMNS, _table(path, rows).T, strict=True))


def _intact_rows(path: Path, owner: str) -> tuple[list[bytes], bool]:
    """Return the rows before the first damaged line, and whether there is none."""
    with open_regular(path) as file:
        header, *rows = file.read().split(b"\n")
    if header != _HEADER or not rows:
        return [], False
    crc = zlib.crc32(owner.encode())
    for i, row in enumerate(rows[:-1]):  # what follows the last end of a line is cut short
        text, _, checksum = row.rpartition(b",")
        crc = zlib.crc32(text, crc)
        if checksum != b"%d" % crc:
            return rows[:i], False
    return rows[:-1], True


def _table(path: Path, rows: list[bytes]) -> np.ndarray:
    """Return the rows as numbers, [update, column]; a DamagedError if they are none of updates."""
    with parsing(path):
        values = [row.decode().split(",")[:-1] for row in rows]
        table = np.array(values, np.float64).reshape(len(rows), len(COLUMNS))
        counts = table[:, [x.startswith(("env_steps", "seconds", "num_")) for x in COLUMNS]]
        if (table[:, 0] != np.arange(1, len(rows) + 1)).any() or not np.isfinite(counts).all():
            raise ValueError("updates, steps or seconds are not numbered or not finite")
    return table
