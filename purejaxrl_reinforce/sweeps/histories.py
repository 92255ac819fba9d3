"""How the agents of a sweep learned: each as the history of a run."""

from pathlib import Path

import numpy as np

from purejaxrl_reinforce.histories import History
from purejaxrl_reinforce.sweep_results import SweepResults, load_sweep

_COLUMNS = ("env_steps", "mean_return", "min_return", "max_return")


def load_sweep_histories(path: Path) -> list[History]:
    """Read the directory of a sweep; settings come in its order, each with all of its seeds.

    An agent's history ends with its last finite update, as that of a run does. It has the columns
    that learning curves need, but no `seconds`: agents are trained together, and none of them has
    a time of its own.

    Raises:
        ValueError: it is not the directory of a sweep, or is unfinished or damaged.
    """
    results = load_sweep(path)
    return [
        History(path, config, seed, _metrics(results, setting, row))
        for setting, config in enumerate(results.configs)
        for row, seed in enumerate(results.seeds)
    ]


def _metrics(results: SweepResults, setting: int, row: int) -> dict[str, np.ndarray]:
    # What was not finite was not applied, and no later update is.
    applied = int(results.metrics["finite"][setting, row].sum())
    columns = {
        name: results.metrics[name][setting, row, :applied].astype(np.float64) for name in _COLUMNS
    }
    return {"update": np.arange(1.0, applied + 1), **columns}
