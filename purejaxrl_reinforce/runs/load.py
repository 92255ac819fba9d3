"""How a run learned: its metrics, read back."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import load_run_config
from purejaxrl_reinforce.results import METRICS_FILE


class History(NamedTuple):
    """A run's configuration and seed, and its metrics by column of `metrics.csv`, each [n].

    Attributes:
        path: of the run directory.
        config: what was trained.
        seed: of all randomness.
        metrics: n updates.
    """

    path: Path
    config: Config
    seed: int
    metrics: dict[str, np.ndarray]


def load_history(path: Path) -> History:
    """Read a run directory; a last row that was cut short is left out.

    Raises:
        ValueError: it is no run directory, or its metrics are missing, damaged or empty.
    """
    return History(path, *load_run_config(path), _load_metrics(path / METRICS_FILE))


def _load_metrics(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open(newline="") as file:
            header, *rows = csv.reader(file)
        if rows and len(rows[-1]) < len(header):
            rows.pop()
        table = np.array(rows, np.float64).reshape(-1, len(header))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValueError:  # a field is no number, a row is too short, or there is no header
        raise ValueError(f"{path} is damaged") from None
    if not len(table):
        raise ValueError(f"{path} has no update yet")
    return dict(zip(header, table.T, strict=True))
