"""metrics.csv: one row per update, appended while training, with a checksum in its last column."""

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.state import Metrics
from purejaxrl_reinforce.output.files import atomic_write, sync

# `finite` is left out: an update where it is false ends the run and has no row.
_METRIC_COLUMNS = tuple(name for name in Metrics._fields if name not in ("env_steps", "finite"))
COLUMNS = ("update", "env_steps", "seconds", *_METRIC_COLUMNS)

_HEADER = ",".join((*COLUMNS, "crc32")).encode()


class MetricsFile:
    """The table of one run's metrics.

    Columns: `update` counts from 1; `env_steps` is the exact number of valid environment steps so
    far; `seconds` is training time so far, compilation apart; the others are the fields of
    `Metrics`. The last, `crc32`, is the CRC-32 of all rows up to here, without this column.

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
        self._lines = [_HEADER]  # of a file that was read
        self._crc = 0

    def create(self) -> None:
        """Write the header."""
        self._write([_HEADER])

    def read(self) -> None:
        """Read the updates that an existing file has before its end or the first damaged row."""
        self._lines = _intact_lines(self._path)[0] if self._path.exists() else []
        self.num_updates = max(len(self._lines) - 1, 0)

    def truncate(self, num_updates: int) -> None:
        """Continue the file that was read after its first `num_updates`; drop the others."""
        lines = [_HEADER, *self._lines[1 : num_updates + 1]]
        table = _table(lines)
        self._tables, self.num_updates = [table], num_updates
        if num_updates:
            self.last_row = dict(zip(COLUMNS, table[-1].tolist(), strict=True))
            self.env_steps = int(self.last_row["env_steps"])
            self.seconds = self.last_row["seconds"]
            self._crc = int(lines[-1].rpartition(b",")[2])
        self._write(lines)

    def add(self, metrics: Metrics, seconds: float) -> list[dict[str, float]]:
        """Append one row per update; return them, each by column.

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
        added = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        if rows:
            self.last_row = added[-1]
            self._tables.append(np.array(rows, np.float64))
        self._append(rows)
        return added

    def sync(self) -> None:
        """Wait until the rows so far are on disk."""
        sync(self._path)

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All rows by column, each float64 [num_updates]."""
        return dict(zip(COLUMNS, np.concatenate(self._tables).T, strict=True))

    def _append(self, rows: Sequence[Sequence[float]]) -> None:
        lines = []
        for row in rows:
            text = ",".join(map(str, row)).encode()
            self._crc = zlib.crc32(text, self._crc)
            lines.append(b"%b,%d\n" % (text, self._crc))
        content = b"".join(lines)
        # In one piece, so that whoever reads along, or a kill, finds whole lines. A file that was
        # removed is not made again.
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        try:
            while content:
                content = content[os.write(handle, content) :]
        finally:
            os.close(handle)

    def _write(self, lines: list[bytes]) -> None:
        with atomic_write(self._path) as unfinished:
            unfinished.write_bytes(b"".join(line + b"\n" for line in lines))


def read_metrics(path: Path) -> dict[str, np.ndarray]:
    """Return the columns of a metrics.csv by name, each float64 [num_updates].

    A last line that is cut short is left out.

    Raises:
        ValueError: the file cannot be read or is damaged.
    """
    try:
        lines, whole = _intact_lines(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    if not whole:
        raise ValueError(f"{path} is damaged: checksum mismatch after update {len(lines) - 1}")
    return dict(zip(COLUMNS, _table(lines).T, strict=True))


def _intact_lines(path: Path) -> tuple[list[bytes], bool]:
    """Return the header and the rows before the first damaged line, and whether there is none."""
    header, *rows = path.read_bytes().split(b"\n")
    if header != _HEADER or not rows:
        return [], False
    crc, intact = 0, [header]
    for row in rows[:-1]:  # what follows the last end of a line is cut short
        text, _, checksum = row.rpartition(b",")
        crc = zlib.crc32(text, crc)
        if checksum != b"%d" % crc:
            return intact, False
        intact.append(row)
    return intact, True


def _table(lines: list[bytes]) -> np.ndarray:
    rows = [line.decode().split(",")[:-1] for line in lines[1:]]
    return np.array(rows, np.float64).reshape(-1, len(COLUMNS))
