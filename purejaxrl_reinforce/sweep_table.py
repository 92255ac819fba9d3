"""A sweep as one tidy table: a row for each setting, seed and update."""

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.files import replacing
from purejaxrl_reinforce.sweep_results import SweepResults

TABLE_STEM = "table"


def save_table(path: Path, results: SweepResults) -> Path:
    """Write the table into a sweep's directory and return its path.

    That is Parquet where pyarrow is installed, else CSV. Columns: `setting` counts from 0, then
    the swept fields, `seed`, `update`, which counts from 1, and the metrics.
    """
    if importlib.util.find_spec("pyarrow") is not None:
        file = path / f"{TABLE_STEM}.parquet"
        with replacing(file) as unfinished:
            _write_parquet(unfinished, results)
        return file
    file = path / f"{TABLE_STEM}.csv"
    with replacing(file) as unfinished, unfinished.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        for i, columns in enumerate(_columns(results)):
            if i == 0:
                writer.writerow(columns)
            writer.writerows(zip(*(x.tolist() for x in columns.values()), strict=True))
    return file


def _write_parquet(file: Path, results: SweepResults) -> None:
    import pyarrow
    import pyarrow.parquet

    writer = None
    try:
        for columns in _columns(results):
            table = pyarrow.table(columns)
            writer = writer or pyarrow.parquet.ParquetWriter(file, table.schema)
            writer.write_table(table)
    finally:
        if writer is not None:
            writer.close()


def _columns(results: SweepResults) -> Iterator[dict[str, np.ndarray]]:
    """Give the columns of each setting's rows, [seed * update]."""
    for setting, config in enumerate(results.configs):
        seeds, updates = len(results.key_data), config.num_updates
        rows = seeds * updates
        metrics = {
            name: values[setting, :, :updates].reshape(rows)
            for name, values in results.metrics.items()
        }
        yield {
            "setting": np.full(rows, setting),
            **{name: np.full(rows, _cell(getattr(config, name))) for name in results.axes},
            "seed": np.repeat(np.asarray(results.seeds, np.uint64), updates),
            "update": np.tile(np.arange(1, updates + 1), seeds),
            "env_steps": metrics.pop("env_steps"),
            **metrics,
        }


def _cell(value: Any) -> Any:
    if value is None:
        return "none"
    return "x".join(map(str, value)) if isinstance(value, tuple) else value
