"""Learning curves of runs and settings: the training return, with intervals over seeds."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from purejaxrl_reinforce.algorithm.environment import RETURN_RANGES, THRESHOLDS, task
from purejaxrl_reinforce.evaluation.statistics import (
    MIN_SEEDS,
    interquartile_mean,
    interquartile_mean_interval,
)
from purejaxrl_reinforce.output.interval import Interval
from purejaxrl_reinforce.output.plots import (
    MOST_CURVES,
    TRAINING_RETURN,
    Curve,
    Panel,
    Style,
    draw_curves,
    returns_curve,
)
from purejaxrl_reinforce.output.text import count, setting_labels
from purejaxrl_reinforce.runs.load import History
from purejaxrl_reinforce.sweeps.results import SweepResults

_COLUMNS = ("env_steps", "mean_return", "min_return", "max_return")
# Points of a curve of many updates.
_MOST_POINTS = 400
# Of a curve that is only in the legend.
_NO_LINE = (np.empty(0), np.empty(0))

# Axis labels of the columns of the metrics that curves are drawn over.
X_LABELS = {
    "env_steps": "environment steps",
    "seconds": "seconds of training, compilation apart",
    "update": "update",
}


def curves_figure(
    groups: Sequence[Sequence[History]],
    x: str,
    smooth: int = 1,
    style: Style = "screen",
    what: str = "",
) -> Figure:
    """Return the figure of `learning_curves`.

    Args:
        groups: histories that differ only by seed.
        x: the column of the metrics to draw over, one of X_LABELS.
        smooth: updates of the trailing moving average.
        style: of the figure.
        what: part of the title; "": the seed of a run, or the number of settings.

    Raises:
        ValueError: there is nothing to draw, or too much.
    """
    panels, common = learning_curves(groups, x, smooth)
    seeds = {history.seed for group in groups for history in group}
    if not what:
        alone = len(groups) == len(groups[0]) == 1
        what = f"seed {groups[0][0].seed}" if alone else count(len(groups), "setting")
    title = f"{' and '.join(panels)}: learning curves, {what}"
    ylabel = TRAINING_RETURN
    if smooth > 1:
        ylabel += f"\n(mean of the last {smooth:,} updates)"
    xlabel = X_LABELS[x]
    if x != "update" and len(seeds) > 1:
        xlabel += ", mean over the seeds"
    return draw_curves(title, xlabel, ylabel, panels, style, common)


def learning_curves(
    groups: Sequence[Sequence[History]], x: str, smooth: int
) -> tuple[dict[str, Panel], str]:
    """Return the curves of each environment, and what the legend says of all of them.

    The curve of a group is the interquartile mean over its seeds at each update, with its 95%
    interval or, below MIN_SEEDS seeds, their range. It is drawn at the mean environment steps or
    seconds of that update and goes on for as long as any seed; the label says how many ended
    before. Where no episode finished, it has no points.

    Raises:
        ValueError: there are more than MOST_CURVES of an environment; there is nothing to draw.
    """
    if len(groups) == len(groups[0]) == 1:
        (history,) = groups[0]
        return {
            task(history.config): _panel(task(history.config), [_alone(history, x, smooth)])
        }, ""
    names, statistics = _names(groups), [_statistic(group) for group in groups]
    several = {s for group, s in zip(groups, statistics, strict=True) if len(group) > 1}
    common = several.pop() if len(groups) > 1 and len(several) == 1 else ""
    by_env: dict[str, list[Curve]] = {}
    for group, name, statistic in zip(groups, names, statistics, strict=True):
        parts = (name, "" if statistic == common else statistic, *_notes(group))
        curve = _of_seeds(group, ", ".join(filter(None, parts)), x, smooth)
        by_env.setdefault(task(group[0].config), []).append(curve)
    if not any(len(curve.x) for curves in by_env.values() for curve in curves):
        raise ValueError("there is nothing to draw: no episode finished")
    for env, curves in by_env.items():
        if len(curves) > MOST_CURVES:
            raise ValueError(
                f"{len(curves):,} curves of {env} are too many; draw at most {MOST_CURVES}"
            )
    return {env: _panel(env, curves) for env, curves in by_env.items()}, common


def _panel(env: str, curves: Sequence[Curve]) -> Panel:
    return Panel(curves, THRESHOLDS.get(env))


def by_config(histories: Sequence[History]) -> list[list[History]]:
    """Group runs that differ only by seed.

    Raises:
        ValueError: two do not even differ by that.
    """
    groups: dict[object, dict[int, History]] = {}
    for history in histories:
        same = groups.setdefault(history.config, {}).setdefault(history.seed, history)
        if same is not history:
            raise ValueError(
                f"{same.path} and {history.path} have the same configuration and seed:"
                " give only one of them"
            )
    return [list(group.values()) for group in groups.values()]


def setting_histories(
    results: SweepResults, settings: Sequence[int], path: Path = Path()
) -> list[list[History]]:
    """Return the histories of the agents of settings.

    One ends with its last finite update, as that of a run does. It has the columns that learning
    curves need, but no `seconds`: agents are trained together, and none of them has a time of its
    own.
    """
    return [
        [
            History(path, results.configs[setting], seed, _metrics(results, setting, row))
            for row, seed in enumerate(results.seeds)
        ]
        for setting in settings
    ]


def _metrics(results: SweepResults, setting: int, row: int) -> dict[str, np.ndarray]:
    # What was not finite was not applied, and no later update is.
    applied = int(results.metrics["finite"][setting, row].sum())
    columns = {
        name: results.metrics[name][setting, row, :applied].astype(np.float64) for name in _COLUMNS
    }
    return {"update": np.arange(1.0, applied + 1), **columns}


def _names(groups: Sequence[Sequence[History]]) -> list[str]:
    """Name groups by the fields in which those of an environment differ, else by directory."""
    names = [""] * len(groups)
    for env in {task(group[0].config) for group in groups}:
        where = [i for i, group in enumerate(groups) if task(group[0].config) == env]
        configs = [groups[i][0].config for i in where]
        fields = [asdict(config) for config in configs]
        differing = [name for name in fields[0] if len({str(f[name]) for f in fields}) > 1]
        for i, name in zip(where, setting_labels(configs, differing), strict=True):
            first = groups[i][0]
            source = first.path.name if configs.count(first.config) > 1 else ""
            names[i] = ", ".join(filter(None, (name, source)))
    return names


def _alone(history: History, x: str, smooth: int) -> Curve:
    columns = ("mean_return", "min_return", "max_return")
    known = np.isfinite(history.metrics["mean_return"])
    if not known.any():
        raise ValueError(f"{history.path}: no episode finished, so there is no return to draw")
    returns = (_smoothed(history.metrics[column][known], smooth) for column in columns)
    return returns_curve(history.metrics[x][known], *returns)


def _of_seeds(group: Sequence[History], label: str, x: str, smooth: int) -> Curve:
    """Return the curve of the seeds of a setting."""
    drawn = _drawn(group)
    if not drawn:
        return Curve(label, *_NO_LINE)
    n = max(len(history.metrics["update"]) for history in drawn)
    lines = np.stack([_padded(_filled(history, smooth), n) for history in drawn])
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
    seen = [(history.metrics[f"{end}_return"] for history in group) for end in ("min", "max")]
    lowest, highest = (np.concatenate(list(columns)) for columns in seen)
    data = float(np.nanmin(lowest)), float(np.nanmax(highest))
    return RETURN_RANGES.get(task(group[0].config), data)


def _drawn(group: Sequence[History]) -> list[History]:
    return [history for history in group if np.isfinite(history.metrics["mean_return"]).any()]


def _statistic(group: Sequence[History]) -> str:
    """Return what a curve shows of the seeds of a setting."""
    if len(group) == 1:
        return f"seed {group[0].seed}"
    drawn = len(_drawn(group))
    band = "95% interval" if drawn >= MIN_SEEDS else "lowest to highest"
    what = f"interquartile mean of {len(group):,} seeds"
    return f"{what}, band: {band}" if drawn > 1 else f"{len(group):,} seeds"


def _notes(group: Sequence[History]) -> list[str]:
    """Return which seeds are not in the curve, or not up to its end."""
    drawn = _drawn(group)
    lengths = [len(history.metrics["update"]) for history in drawn]
    notes = []
    if len(drawn) < len(group):
        of = f" in {len(group) - len(drawn):,} of {len(group):,} seeds" if drawn else ""
        notes.append(f"no episode finished{of}")
    if shorter := sum(length < max(lengths) for length in lengths):
        notes.append(f"{len(drawn) - shorter:,} of {len(group):,} seeds to the end")
    return notes


def _mean_positions(columns: Sequence[np.ndarray], n: int) -> np.ndarray:
    """Return where to draw each of n updates: by the mean advance of the seeds that train on."""
    advances = [_padded(np.diff(column, prepend=0.0), n) for column in columns]
    return np.nanmean(advances, axis=0).cumsum()


def _filled(history: History, smooth: int) -> np.ndarray:
    """Return the smoothed training return of each update, NaN before the first episode's end.

    In updates where none finished, it lies on a line between those before and after.
    """
    y = history.metrics["mean_return"]
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
