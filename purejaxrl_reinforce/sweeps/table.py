"""A sweep as one tidy table: a row for each setting, seed and update."""

import csv
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.files import replacing
from purejaxrl_reinforce.labels import short_value
from purejaxrl_reinforce.sweep_results import SweepResults

TABLE_STEM = "table"


def save_table(path: Path, results: SweepResults) -> Path:
    """Write the table into a sweep's directory and return its path.

    That is Parquet where pyarrow is installed, else CSV. Columns: `setting` counts from 0, then
    the swept fields, `seed`, `update`, which counts from 1, and the metrics. A swept field that is
    called like a metric, `num_steps`, becomes `config_num_steps`.
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
    swept = _swept_columns(results)
    for setting, config in enumerate(results.configs):
        seeds, updates = len(results.key_data), config.num_updates
        rows = seeds * updates
        metrics = {
            name: values[setting, :, :updates].reshape(rows)
            for name, values in results.metrics.items()
        }
        yield {
            "setting": np.full(rows, setting),
            **{name: np.full(rows, values[setting]) for name, values in swept.items()},
            "seed": np.repeat(np.asarray(results.seeds, np.uint64), updates),
            "update": np.tile(np.arange(1, updates + 1), seeds),
            "env_steps": metrics.pop("env_steps"),
            **metrics,
        }


def _swept_columns(results: SweepResults) -> dict[str, list[Any]]:
    """Return each swept field's column name and its value in each setting, all of one type."""
    columns = {}
    for name in results.axes:
        values = [getattr(config, name) for config in results.configs]
        if any(value is None or isinstance(value, tuple) for value in values):
            values = [short_value(value) for value in values]
        columns[f"config_{name}" if name in results.metrics else name] = values
    return columns
