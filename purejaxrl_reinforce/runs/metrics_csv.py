"""metrics.csv: one row per update, appended while training, with a checksum in its last column."""

import os
import zlib
from pathlib import Path

import numpy as np

from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.output.files import atomic_write, open_regular
from purejaxrl_reinforce.output.sealed import parsing

# `finite` is left out: an update where it is false ends the run and has no row.
_METRIC_COLUMNS = tuple(name for name in Metrics._fields if name not in ("env_steps", "finite"))
COLUMNS = ("update", "env_steps", "seconds", *_METRIC_COLUMNS)

_HEADER = ",".join((*COLUMNS, "crc32")).encode()


class MetricsFile:
    """The table of one run's metrics.

    Columns: `update` counts from 1; `env_steps` is the exact number of valid environment steps so
    far; `seconds` is training time so far, excluding compilation; the others are the fields of
    `Metrics`. The last, `crc32`, is the CRC-32 of the run's identity and all rows up to here,
    without this column.
    """

    def __init__(self, path: Path, owner: str) -> None:
        self._path, self._owner = path, owner
        self._lines: list[bytes] = []  # of an earlier process
        self._table, self._crc = np.empty((0, len(COLUMNS))), 0

    @property
    def num_updates(self) -> int:
        """Rows so far."""
        return len(self._table)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All rows by column, each float64 [num_updates]."""
        return dict(zip(COLUMNS, self._table.T, strict=True))

    def read(self) -> bool:
        """Take the rows before the first damaged one; return whether none is damaged.

        A last line that is cut short is left out.

        Raises:
            OSError: the file cannot be read.
            DamagedError: the rows are none of updates.
        """
        with open_regular(self._path) as file:
            header, *lines = file.read().split(b"\n")
        self._lines, crc = [], zlib.crc32(self._owner.encode())
        for line in lines[:-1] if header == _HEADER else ():  # the last one is empty, or cut short
            text, _, checksum = line.rpartition(b",")
            crc = zlib.crc32(text, crc)
            if checksum != b"%d" % crc:
                break
            self._lines.append(line)
        self._table = _table(self._path, self._lines)
        return header == _HEADER and len(self._lines) == len(lines) - 1

    def start(self, num_updates: int = 0) -> None:
        """Write the file, with the first `num_updates` of the rows so far."""
        lines, self._table = self._lines[:num_updates], self._table[:num_updates]
        self._crc = zlib.crc32(self._owner.encode())
        if lines:
            self._crc = int(lines[-1].rpartition(b",")[2])
        with atomic_write(self._path) as unfinished:
            unfinished.write_bytes(b"".join(line + b"\n" for line in (_HEADER, *lines)))

    def add(self, metrics: Metrics, seconds: float) -> list[dict[str, float]]:
        """Append one row per update; return them, each by column.

        Args:
            metrics: NumPy arrays [n].
            seconds: that the n updates took together.
        """
        n = len(metrics.num_steps)
        counts = np.arange(1, n + 1)
        env_steps, so_far = self._table[-1, 1:3] if self.num_updates else (0, 0.0)
        columns = {name: getattr(metrics, name) for name in _METRIC_COLUMNS} | {
            "update": self.num_updates + counts,
            "env_steps": int(env_steps) + metrics.num_steps.cumsum(dtype=np.int64),
            "seconds": np.round(so_far + counts * seconds / n, 6),
        }
        rows = list(zip(*(columns[name].tolist() for name in COLUMNS), strict=True))
        lines = []
        for row in rows:
            text = ",".join(map(str, row)).encode()
            self._crc = zlib.crc32(text, self._crc)
            lines.append(b"%b,%d\n" % (text, self._crc))
        new = np.array(rows, np.float64).reshape(-1, len(COLUMNS))
        self._table = np.concatenate([self._table, new])
        with self._path.open("r+b") as file:  # one that was removed is not made again
            file.seek(0, os.SEEK_END)
            file.write(b"".join(lines))
        return [dict(zip(COLUMNS, row, strict=True)) for row in rows]


def _table(path: Path, rows: list[bytes]) -> np.ndarray:
    """Return the rows as numbers, [update, column]; a DamagedError if they are none of updates."""
    with parsing(path):
        values = [row.decode().split(",")[:-1] for row in rows]
        table = np.array(values, np.float64).reshape(len(rows), len(COLUMNS))
        counts = table[:, [x.startswith(("env_steps", "seconds", "num_")) for x in COLUMNS]]
        if (table[:, 0] != np.arange(1, len(rows) + 1)).any() or not np.isfinite(counts).all():
            raise ValueError("updates, steps or seconds are not numbered or not finite")
    return table
