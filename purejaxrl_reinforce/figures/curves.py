"""Learning curves of runs: returns of each update, and over seeds their interquartile mean."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.figures import style as styles
from purejaxrl_reinforce.figures.style import Curve, Style, draw_curves, save_figure
from purejaxrl_reinforce.output.text import count, setting_labels
from purejaxrl_reinforce.statistics import interquartile_mean, interquartile_mean_interval
from purejaxrl_reinforce.tasks import RETURN_RANGES, THRESHOLDS, task

Metrics = Mapping[str, np.ndarray]

# Axis labels of the columns of the metrics that curves are drawn over.
X_LABELS = {
    "env_steps": "environment steps",
    "seconds": "seconds of training, excluding compilation",
    "update": "update",
}
# Those of the columns that are drawn.
Y_LABELS = {"mean_return": styles.TRAINING_RETURN, "eval_return": styles.GREEDY_RETURN}

# Points of a curve of many updates.
_MOST_POINTS = 400


class Runs(NamedTuple):
    """Runs that differ by their seeds only.

    Attributes:
        config: of the training.
        seeds: of the runs.
        metrics: of each run, arrays [updates] by column of metrics.csv.
        source: names them where others have their configuration.
    """

    config: Config
    seeds: Sequence[int]
    metrics: Sequence[Metrics]
    source: str = ""


def plot_returns(path: Path, title: str, config: Config, metrics: Metrics) -> None:
    """Draw the returns of a run, update by update, into a file; without an episode, empty axes."""
    panels = {task(config): _run_curves(metrics, "update", 1)}
    figure = draw_curves(title, "update", styles.TRAINING_RETURN, panels, solved=THRESHOLDS)
    save_figure(figure, path)


def learning_curves(
    groups: Sequence[Runs],
    x: str = "env_steps",
    y: str = "mean_return",
    smooth: int = 1,
    style: Style = "screen",
    what: str = "",
    ax: Axes | None = None,
) -> Figure:
    """Draw a curve for each group of runs, on axes for each environment.

    One run alone shows how far the episodes of each update spread. Otherwise a curve is the
    interquartile mean over the seeds at each update, with its 95% interval from 10 seeds on, else
    with a thin line for each. It is drawn at the mean environment steps or seconds of that update
    and ends with the longest seed; its label says how many ended earlier. Where no episode
    finished, it has no points. Between greedy returns it is a line.

    Args:
        groups: of runs, at least one.
        x: the column of the metrics to draw over, one of X_LABELS.
        y: the column of the metrics to draw, one of Y_LABELS.
        smooth: updates of the trailing moving average.
        what: part of the title; "": the seed of a run, or the number of settings.
        ax: axes of the caller's, see `draw_curves`.

    Raises:
        ValueError: there is nothing to draw, or more than MOST_CURVES of an environment.
    """
    by_task: dict[str, list[Curve]] = {}
    common, averaged = "", any(len(group.seeds) > 1 for group in groups)
    alone = len(groups) == len(groups[0].seeds) == 1
    if alone and y == "mean_return":
        by_task[task(groups[0].config)] = _run_curves(groups[0].metrics[0], x, smooth)
    else:
        curves = [_seeds_curve(group, x, y, smooth) for group in groups]
        shared = {c.label for c, group in zip(curves, groups, strict=True) if len(group.seeds) > 1}
        common = shared.pop() if len(groups) > 1 and len(shared) == 1 else ""
        for group, curve, name in zip(groups, curves, _names(groups), strict=True):
            parts = (name, "" if curve.label == common else curve.label, *_left_out(group, y))
            curve = curve._replace(label=", ".join(filter(None, parts)))
            by_task.setdefault(task(group.config), []).append(curve)
    if not any(len(curve.x) for curves in by_task.values() for curve in curves):
        raise ValueError("there is nothing to draw: no episode finished")
    what = what or (f"seed {groups[0].seeds[0]}" if alone else count(len(groups), "setting"))
    return draw_curves(
        f"{' and '.join(by_task)}: learning curves, {what}",
        X_LABELS[x] + (", mean of the seeds" if x != "update" and averaged else ""),
        Y_LABELS[y] + (f"\n(mean of the last {smooth:,} updates)" if smooth > 1 else ""),
        by_task,
        style,
        common,
        THRESHOLDS,
        ax,
    )


def _run_curves(metrics: Metrics, x: str, smooth: int) -> list[Curve]:
    """Return the mean of each update's episodes with their range, and greedy returns if any."""
    known, played = (np.isfinite(metrics[name]) for name in ("mean_return", "eval_return"))
    mean, low, high = (
        _smoothed(metrics[f"{name}_return"][known], smooth) for name in ("mean", "min", "max")
    )
    label, band_label = "mean of the update's episodes", "min to max"
    curves = [Curve(label, metrics[x][known], mean, np.stack([low, high]), band_label)]
    if played.any():
        greedy = metrics["eval_return"][played]
        curves.append(Curve(styles.GREEDY_RETURN, metrics[x][played], greedy, is_line=False))
    return curves


def _seeds_curve(group: Runs, x: str, y: str, smooth: int) -> Curve:
    """Return the curve of the seeds of a group; its label is its statistic."""
    drawn, statistic = _drawn(group, y), _statistic(group, y)
    if not drawn:
        return Curve(statistic, np.empty(0), np.empty(0))
    n = max(len(metrics[y]) for metrics in drawn)
    lines = np.stack([_padded(_filled(metrics[y], smooth), n) for metrics in drawn])
    # Updates lie at the mean advance of the seeds that train on.
    advances = [_padded(np.diff(metrics[x], prepend=0.0), n) for metrics in drawn]
    at = np.nanmean(advances, axis=0).cumsum()
    known = np.flatnonzero(np.isfinite(lines).any(axis=0))
    shown = known[np.unique(np.linspace(0, len(known) - 1, _MOST_POINTS).astype(int))]
    at, lines = at[shown], lines[:, shown]
    if len(drawn) == 1:
        return Curve(statistic, at, lines[0])
    value, *ends = _over_seeds(lines)
    if len(drawn) < styles.BAND_SEEDS:
        return Curve(statistic, at, value, thin=lines)
    seen = np.nanmin(lines), np.nanmax(lines)
    band = np.clip(ends, *RETURN_RANGES.get(task(group.config), seen))
    return Curve(statistic, at, value, band)


def _over_seeds(lines: np.ndarray) -> np.ndarray:
    """Return interquartile mean and interval, [3, n], of lines [seeds, n]; NaN: there is none."""
    ordered, number = np.sort(lines, axis=0), np.isfinite(lines).sum(axis=0)  # NaN comes last
    found = np.full((3, lines.shape[1]), np.nan)
    for seeds in np.unique(number):
        values = ordered[:seeds, number == seeds]
        if len(lines) < styles.BAND_SEEDS:
            found[0, number == seeds] = interquartile_mean(values, axis=0)
        else:
            found[:, number == seeds] = interquartile_mean_interval(values)
    return np.where(np.isfinite(found), found, np.nan)


def _drawn(group: Runs, y: str) -> list[Metrics]:
    return [metrics for metrics in group.metrics if np.isfinite(metrics[y]).any()]


def _statistic(group: Runs, y: str) -> str:
    """Return the statistic that a curve shows of a group's seeds."""
    seeds, drawn = count(len(group.seeds), "seed"), len(_drawn(group, y))
    if len(group.seeds) == 1:
        return f"seed {group.seeds[0]}"
    if drawn < 2:
        return seeds
    around = "band: 95% interval" if drawn >= styles.BAND_SEEDS else "thin: each seed"
    return f"interquartile mean of {seeds}, {around}"


def _left_out(group: Runs, y: str) -> list[str]:
    """Return notes about seeds that are missing in the curve, or end early."""
    drawn, seeds, notes = _drawn(group, y), f"{count(len(group.seeds), 'seed')}", []
    if missing := len(group.seeds) - len(drawn):
        what = "no episode finished" if y == "mean_return" else "never evaluated"
        notes.append(f"{what} in {missing:,} of {seeds}" if drawn else what)
    lengths = [len(metrics[y]) for metrics in drawn]
    at_end = sum(length == max(lengths) for length in lengths)
    if at_end < len(drawn):
        notes.append(f"{at_end:,} of {seeds} to the end")
    return notes


def _names(groups: Sequence[Runs]) -> list[str]:
    """Name groups by the fields that differ within an environment, else by source."""
    names = [""] * len(groups)
    for name in {task(group.config) for group in groups}:
        where = [i for i, group in enumerate(groups) if task(group.config) == name]
        configs = [groups[i].config for i in where]
        fields = [asdict(config) for config in configs]
        differing = [name for name in fields[0] if len({str(f[name]) for f in fields}) > 1]
        for i, label in zip(where, setting_labels(configs, differing), strict=True):
            source = groups[i].source if configs.count(groups[i].config) > 1 else ""
            names[i] = ", ".join(filter(None, (label, source)))
    return names


def _filled(y: np.ndarray, smooth: int) -> np.ndarray:
    """Return the smoothed return of each update, interpolated; NaN before the first."""
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
