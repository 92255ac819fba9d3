"""Learning curves: histories of runs, grouped by configuration, smoothed, with bands over seeds."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from purejaxrl_reinforce.histories import History
from purejaxrl_reinforce.intervals import mean_interval
from purejaxrl_reinforce.plots import Curve, returns_curve

# Seeds end their updates at different numbers of steps: their curves meet on so many points.
_GRID = 400


def learning_curves(histories: Sequence[History], x: str, smooth: int) -> list[Curve]:
    """Return a curve for each configuration.

    Args:
        histories: of runs. Those that differ by their seed only make one curve, with a band.
        x: the column of the metrics to draw over.
        smooth: of how many updates, this one and those before it, each point is the mean.

    Raises:
        ValueError: two runs are the same; no episode finished in one; runs of one configuration
            have no range of `x` in common.
    """
    groups = _by_config(histories)
    if len(histories) == 1:
        return [_alone(histories[0], x, smooth)]
    labels = _labels(groups)
    return [_of_seeds(group, label, x, smooth) for group, label in zip(groups, labels, strict=True)]


def _by_config(histories: Sequence[History]) -> list[list[History]]:
    groups: list[list[History]] = []
    for history in histories:
        group = next((g for g in groups if g[0].config == history.config), None)
        if group is None:
            groups.append([history])
            continue
        same = next((other for other in group if other.seed == history.seed), None)
        if same is not None:
            raise ValueError(
                f"{same.path} and {history.path} have the same configuration and seed:"
                " give one of them"
            )
        group.append(history)
    return groups


def _labels(groups: Sequence[Sequence[History]]) -> list[str]:
    """Name each group by the fields that differ between them, and by its seed if it has one."""
    fields = [asdict(group[0].config) for group in groups]
    differing = [name for name in fields[0] if len({str(f[name]) for f in fields}) > 1]
    labels = []
    for group, values in zip(groups, fields, strict=True):
        parts = [values[name] if name == "env" else f"{name}={values[name]}" for name in differing]
        parts.append(
            f"seed {group[0].seed}"
            if len(group) == 1
            else f"mean of {len(group)} seeds with 95% t interval"
        )
        labels.append(", ".join(parts))
    return labels


def _alone(history: History, x: str, smooth: int) -> Curve:
    at, mean = _smoothed(history, x, "mean_return", smooth)
    lowest, highest = (
        _smoothed(history, x, column, smooth)[1] for column in ("min_return", "max_return")
    )
    return returns_curve(at, mean, lowest, highest)


def _of_seeds(group: Sequence[History], label: str, x: str, smooth: int) -> Curve:
    lines = [_smoothed(history, x, "mean_return", smooth) for history in group]
    if len(lines) == 1:
        return Curve(label, *lines[0])
    first, last = max(at[0] for at, _ in lines), min(at[-1] for at, _ in lines)
    if first > last:
        raise ValueError(f"the seeds of {group[0].path} and others have no range of {x} in common")
    grid = np.linspace(first, last, _GRID)
    interval = mean_interval(np.stack([np.interp(grid, at, y) for at, y in lines]))
    return Curve(label, grid, *interval)


def _smoothed(history: History, x: str, column: str, smooth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and a trailing moving average, without the updates where no episode finished."""
    y = history.metrics[column]
    known = np.isfinite(y)
    if not known.any():
        raise ValueError(f"{history.path}: no episode finished, so there is no return to draw")
    at, y = history.metrics[x][known], y[known]
    sums = np.concatenate([[0.0], np.cumsum(y)])
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - smooth, 0)
    return at, (sums[ends] - sums[starts]) / (ends - starts)
