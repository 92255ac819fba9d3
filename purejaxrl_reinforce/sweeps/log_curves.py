"""Curves of a sweep for TensorBoard and Weights & Biases: each setting is one of their runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.runs.loggers import make_loggers
from purejaxrl_reinforce.statistics import interquartile_mean
from purejaxrl_reinforce.sweeps.results import SweepResults


def log_curves(
    path: Path, results: SweepResults, names: Sequence[str], wandb: Mapping[str, Any]
) -> None:
    """Log the metrics of each setting: interquartile means over its seeds at each update.

    Args:
        path: of the sweep, below which the loggers write.
        results: of the sweep.
        names: of loggers, "tensorboard" or "wandb".
        wandb: arguments of `wandb.init`; without a group, it is the directory's name.

    Raises:
        ValueError: a logger cannot start.
    """
    for setting, config in enumerate(results.configs if names else ()):
        part = f"setting{setting} {results.labels[setting]}".replace("/", "_")[:100]
        facts = asdict(config) | {"setting": setting, "num_seeds": len(results.key_data)}
        loggers = make_loggers(names, path, facts, 0, {"group": path.name, **wandb}, part)
        try:
            columns = means_over_seeds(results, setting)
            for update, row in enumerate(zip(*columns.values(), strict=True), 1):
                metrics = dict(zip(columns, map(float, row), strict=True))
                for logger in loggers:
                    logger.log(update, metrics)
        finally:
            for logger in loggers:
                logger.close()


def means_over_seeds(results: SweepResults, setting: int) -> dict[str, np.ndarray]:
    """Return the interquartile mean of each metric over the seeds that have it, [update]."""
    n = results.configs[setting].num_updates
    finite = results.metrics["finite"][setting, :, :n]
    return {
        name: np.array(
            [
                interquartile_mean(x[known]) if known.any() else np.nan
                for x, known in zip(values.T, (finite & np.isfinite(values)).T, strict=True)
            ]
        )
        for name, metric in results.metrics.items()
        if name != "finite"
        for values in [metric[setting, :, :n]]
    }
