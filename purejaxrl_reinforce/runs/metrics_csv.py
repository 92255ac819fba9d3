"""metrics.csv: one row per update, appended while training, with a checksum in its last column."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.output.files import atomic_write, read_input
from purejaxrl_reinforce.output.sealed import parsing

# `finite` is left out: an update where it is false ends the run and has no row.
_OTHERS = ("env_steps", "finite", "own")
COLUMNS = ("update", "env_steps", "seconds", *(x for x in Metrics._fields if x not in _OTHERS))
_CHECKSUM = "crc32"


class MetricsFile:
    """The table of one run's metrics.

    Columns: `update` counts from 1; `env_steps` is the exact number of valid environment steps so
    far; `seconds` is training time so far, excluding compilation; the others are the fields of
    `Metrics`, and the user's own. The last, `crc32`, is the CRC-32 of the run's identity, the names
    of the user's own, and all rows up to here, without this column.

    Attributes:
        own: the names of the user's own that are written.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self.own: Sequence[str] = ()
        self._path, self._owner = path, owner
        self._lines: list[bytes] = []  # of an earlier process
        self._names, self._table, self._crc = COLUMNS, np.empty((0, len(COLUMNS))), 0

    @property
    def num_updates(self) -> int:
        """Rows so far."""
        return len(self._table)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All rows by column, each float64 [num_updates]."""
        return dict(zip(self._names, self._table.T, strict=True))

    def read(self) -> bool:
        """Take the rows before the first damaged one; return whether none is damaged.

        A last line that is cut short is left out.

        Raises:
            ValueError: the file cannot be read, or the rows are none of updates.
        """
        header, *lines = read_input(self._path).split(b"\n")
        *names, last = header.decode(errors="replace").split(",")
        is_ours = tuple(names[: len(COLUMNS)]) == COLUMNS and last == _CHECKSUM
        self._names = tuple(names) if is_ours else COLUMNS
        self._lines, crc = [], self._first_crc()
        for line in lines[:-1] if is_ours else ():  # the last one is empty, or cut short
            text, _, checksum = line.rpartition(b",")
            crc = zlib.crc32(text, crc)
            if checksum != b"%d" % crc:
                break
            self._lines.append(line)
        self._table = _table(self._path, self._names, self._lines)
        return is_ours and len(self._lines) == len(lines) - 1

    def _first_crc(self) -> int:
        return zlib.crc32(",".join((self._owner, *self._names[len(COLUMNS) :])).encode())

    def start(self, num_updates: int = 0) -> None:
        """Write the file, with the first `num_updates` of the rows so far.

        Raises:
            ValueError: they have other metrics of the user's own.
        """
        lines, self._table = self._lines[:num_updates], self._table[:num_updates]
        if lines and self._names != (*COLUMNS, *self.own):
            there, here = (", ".join(x) or "none" for x in (self._names[len(COLUMNS) :], self.own))
            raise ValueError(f"{self._path} has other metrics of your own: {there}, here {here}")
        self._names = (*COLUMNS, *self.own)
        self._table = self._table.reshape(-1, len(self._names))
        self._crc = self._first_crc()
        if lines:
            self._crc = int(lines[-1].rpartition(b",")[2])
        with atomic_write(self._path) as unfinished:
            header = ",".join((*self._names, _CHECKSUM)).encode()
            unfinished.write_bytes(b"".join(line + b"\n" for line in (header, *lines)))

    def add(self, metrics: Metrics, seconds: float) -> list[dict[str, float]]:
        """Append one row per update; return them, each by column.

        Args:
            metrics: NumPy arrays [n].
            seconds: that the n updates took together.
        """
        n = len(metrics.num_steps)
        counts = np.arange(1, n + 1)
        env_steps, so_far = self._table[-1, 1:3] if self.num_updates else (0, 0.0)
        columns: dict[str, Any] = metrics.by_name() | {
            "update": self.num_updates + counts,
            "env_steps": int(env_steps) + metrics.num_steps.cumsum(dtype=np.int64),
            "seconds": np.round(so_far + counts * seconds / n, 6),
        }
        rows = list(zip(*(columns[name].tolist() for name in self._names), strict=True))
        lines = []
        for row in rows:
            text = ",".join(map(str, row)).encode()
            self._crc = zlib.crc32(text, self._crc)
            lines.append(b"%b,%d\n" % (text, self._crc))
        new = np.array(rows, np.float64).reshape(-1, len(self._names))
        self._table = np.concatenate([self._table, new])
        with self._path.open("r+b") as file:  # one that was removed is not made again
            file.seek(0, os.SEEK_END)
            file.write(b"".join(lines))
        return [dict(zip(self._names, row, strict=True)) for row in rows]


def _table(path: Path, names: Sequence[str], rows: list[bytes]) -> np.ndarray:
    """Return the rows as numbers, [update, column]; a DamagedError if they are none of updates."""
    with parsing(path):
        values = [row.decode().split(",")[:-1] for row in rows]
        table = np.array(values, np.float64).reshape(len(rows), len(names))
        counted = [x.startswith(("env_steps", "seconds", "num_")) for x in COLUMNS]
        counts = table[:, : len(COLUMNS)][:, counted]
        if (table[:, 0] != np.arange(1, len(rows) + 1)).any() or not np.isfinite(counts).all():
            raise ValueError("updates, steps or seconds are not numbered or not finite")
    return table
