"""The curve of a run, and of the seeds of a setting: statistic, band, and what is left out."""

from collections.abc import Sequence

import numpy as np

from purejaxrl_reinforce.algorithm.environments.environment import RETURN_RANGES, task
from purejaxrl_reinforce.evaluation.statistics import (
    MIN_SEEDS,
    interquartile_mean,
    interquartile_mean_interval,
)
from purejaxrl_reinforce.output.interval import Interval
from purejaxrl_reinforce.output.plots import Curve, greedy_curves, returns_curve
from purejaxrl_reinforce.runs.load import History

# Points of a curve of many updates.
_MOST_POINTS = 400
# Of a curve that is only in the legend.
_NO_LINE = (np.empty(0), np.empty(0))


def run_curves(history: History, x: str, smooth: int) -> list[Curve]:
    """Return the curves of one run: the mean of each update's episodes, greedy returns if any.

    Raises:
        ValueError: no episode finished.
    """
    columns = ("mean_return", "min_return", "max_return")
    known = np.isfinite(history.metrics["mean_return"])
    if not known.any():
        raise ValueError(f"{history.path}: no episode finished, so there is no return to draw")
    returns = (_smoothed(history.metrics[column][known], smooth) for column in columns)
    greedy = greedy_curves(history.metrics[x], history.metrics["eval_return"])
    return [returns_curve(history.metrics[x][known], *returns), *greedy]


def seeds_curve(group: Sequence[History], label: str, x: str, y: str, smooth: int) -> Curve:
    """Return the curve of the seeds of a setting, of column `y` over column `x`."""
    drawn = _drawn(group, y)
    if not drawn:
        return Curve(label, *_NO_LINE)
    n = max(len(history.metrics["update"]) for history in drawn)
    lines = np.stack([_padded(_filled(history.metrics[y], smooth), n) for history in drawn])
    at = _mean_positions([history.metrics[x] for history in drawn], n)
    known = np.flatnonzero(np.isfinite(lines).any(axis=0))
    shown = known[np.unique(np.linspace(0, len(known) - 1, _MOST_POINTS).astype(int))]
    value, low, high = _over_seeds(lines[:, shown])
    if len(drawn) == 1:
        return Curve(label, at[shown], value)
    bounds = _possible_returns(drawn)
    return Curve(label, at[shown], value, np.clip(low, *bounds), np.clip(high, *bounds))


def _over_seeds(lines: np.ndarray) -> Interval:
    """Return the statistic of lines [seeds, n] with NaN where a seed has none."""
    ordered, number = np.sort(lines, axis=0), np.isfinite(lines).sum(axis=0)  # NaN comes last
    found = np.full((3, lines.shape[1]), np.nan)
    for seeds in np.unique(number):
        at = number == seeds
        values = ordered[:seeds, at]
        if len(lines) < MIN_SEEDS:
            found[:, at] = interquartile_mean(values, axis=0), values[0], values[-1]
        else:
            found[:, at] = interquartile_mean_interval(values)
    return Interval(*np.where(np.isfinite(found), found, np.nan))  # no band without bounds


def _possible_returns(group: Sequence[History]) -> tuple[float, float]:
    """Return the range of an episode's return, where it is not known that of the data."""
    columns = ("min_return", "max_return", "eval_return")
    seen = np.concatenate([history.metrics[name] for history in group for name in columns])
    data = float(np.nanmin(seen)), float(np.nanmax(seen))
    return RETURN_RANGES.get(task(group[0].config), data)


def _drawn(group: Sequence[History], y: str) -> list[History]:
    return [history for history in group if np.isfinite(history.metrics[y]).any()]


def statistic_of(group: Sequence[History], y: str) -> str:
    """Return what a curve shows of the seeds of a setting."""
    if len(group) == 1:
        return f"seed {group[0].seed}"
    drawn = len(_drawn(group, y))
    band = "95% interval" if drawn >= MIN_SEEDS else "lowest to highest"
    what = f"interquartile mean of {len(group):,} seeds"
    return f"{what}, band: {band}" if drawn > 1 else f"{len(group):,} seeds"


def notes_on(group: Sequence[History], y: str) -> list[str]:
    """Return which seeds are not in the curve, or not up to its end."""
    drawn = _drawn(group, y)
    lengths = [len(history.metrics["update"]) for history in drawn]
    notes = []
    if len(drawn) < len(group):
        of = f" in {len(group) - len(drawn):,} of {len(group):,} seeds" if drawn else ""
        missing = "no episode finished" if y == "mean_return" else "never evaluated"
        notes.append(f"{missing}{of}")
    if shorter := sum(length < max(lengths) for length in lengths):
        notes.append(f"{len(drawn) - shorter:,} of {len(group):,} seeds to the end")
    return notes


def _mean_positions(columns: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return where to draw each of n updates: by the mean advance of the seeds that train on."""
    advances = [_padded(np.diff(column, prepend=0.0), n) for column in columns]
    return np.nanmean(advances, axis=0).cumsum()


def _filled(y: np.ndarray, smooth: int) -> np.ndarray:
    """Return the smoothed return of each update, NaN before the first update that has one.

    In updates without one, it lies on a line between those before and after.
    """
    known = np.flatnonzero(np.isfinite(y))
    return np.interp(np.arange(len(y)), known, _smoothed(y[known], smooth), left=np.nan)


def _padded(line: np.ndarray, n: int) -> np.ndarray:
    return np.concatenate([line, np.full(n - len(line), np.nan)])


def _smoothed(y: np.ndarray, smooth: int) -> np.ndarray:
    """Return a trailing moving average."""
    sums = np.concatenate([[0.0], np.cumsum(y)])
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - smooth, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)
