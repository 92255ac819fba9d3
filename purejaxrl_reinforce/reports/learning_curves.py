"""Learning curves: histories of runs, grouped by configuration, smoothed, with bands over seeds."""

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
from matplotlib.figure import Figure

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.statistics import mean_interval
from purejaxrl_reinforce.output.plots import (
    MOST_CURVES,
    Curve,
    draw_curves,
    returns_curve,
)
from purejaxrl_reinforce.output.text import setting_label
from purejaxrl_reinforce.runs.load import History

# Points of the common grid: seeds end their updates at different numbers of steps.
_GRID = 400
# Of a curve that is only in the legend.
_NO_LINE = (np.empty(0), np.empty(0))

# Axis labels of the columns of the metrics that curves are drawn over.
X_LABELS = {
    "env_steps": "environment steps",
    "seconds": "seconds of training, compilation apart",
    "update": "update",
}


def curves_figure(
    histories: Sequence[History], x: str, smooth: int, narrow: bool = False
) -> Figure:
    """Return the figure of the learning curves of runs: see `learning_curves`.

    Raises:
        ValueError: they cannot be drawn together.
    """
    envs = " and ".join(dict.fromkeys(history.config.env for history in histories))
    whose = f"seed {histories[0].seed}" if len(histories) == 1 else f"{len(histories):,} runs"
    ylabel = "episode return"
    if smooth > 1:
        ylabel += f"\n(mean of the last {smooth:,} updates)"
    curves, common = learning_curves(histories, x, smooth)
    title = f"{envs}: REINFORCE, {whose}"
    return draw_curves(title, X_LABELS[x], ylabel, curves, narrow, common)


def learning_curves(histories: Sequence[History], x: str, smooth: int) -> tuple[list[Curve], str]:
    """Return a curve for each configuration, and the title of their legend.

    Where no episode finished or the seeds have no range of `x` in common, the curve has no points
    and its label says so.

    Args:
        histories: of runs. Those that differ only by seed make one curve: their mean, with
            its 95% t interval as a band, over the range of `x` that all of them have.
        x: the column of the metrics to draw over, one of X_LABELS.
        smooth: updates of the trailing moving average.

    Raises:
        ValueError: two runs are the same; there are more configurations than MOST_CURVES; there
            is nothing to draw.
    """
    groups = _by_config(histories)
    if len(groups) > MOST_CURVES:
        raise ValueError(f"{len(groups):,} curves are too many; draw at most {MOST_CURVES}")
    if len(histories) == 1:
        return [_alone(histories[0], x, smooth)], ""
    labels, common = _labels(groups)
    curves = [
        _of_seeds(group, label, x, smooth) for group, label in zip(groups, labels, strict=True)
    ]
    if not any(len(curve.x) for curve in curves):
        raise ValueError(f"there is nothing to draw: {curves[0].label or common}")
    return curves, common


def _by_config(histories: Sequence[History]) -> list[list[History]]:
    groups: dict[Config, dict[int, History]] = {}
    for history in histories:
        same = groups.setdefault(history.config, {}).setdefault(history.seed, history)
        if same is not history:
            raise ValueError(
                f"{same.path} and {history.path} have the same configuration and seed:"
                " give only one of them"
            )
    return [list(group.values()) for group in groups.values()]


def _labels(groups: Sequence[Sequence[History]]) -> tuple[list[str], str]:
    """Return a label for each group, and the statistic that all their curves share, or "".

    A label has the fields that differ between the groups, and the statistic where that differs.
    """
    configs = [group[0].config for group in groups]
    fields = [asdict(config) for config in configs]
    differing = [name for name in fields[0] if len({str(f[name]) for f in fields}) > 1]
    names = [setting_label(config, differing) for config in configs]
    statistics = [_statistic(group) for group in groups]
    if len(groups) > 1 and len(set(statistics)) == 1:
        return names, statistics[0]
    parts = zip(names, statistics, strict=True)
    return [", ".join(filter(None, both)) for both in parts], ""


def _alone(history: History, x: str, smooth: int) -> Curve:
    at, mean = _smoothed(history, x, "mean_return", smooth)
    if not len(at):
        raise ValueError(f"{history.path}: no episode finished, so there is no return to draw")
    lowest, highest = (
        _smoothed(history, x, column, smooth)[1] for column in ("min_return", "max_return")
    )
    return returns_curve(at, mean, lowest, highest)


def _of_seeds(group: Sequence[History], label: str, x: str, smooth: int) -> Curve:
    lines = [_smoothed(history, x, "mean_return", smooth) for history in _drawn(group)]
    if not lines:
        return Curve(f"{label}: no episode finished", *_NO_LINE)
    if len(lines) == 1:
        return Curve(label, *lines[0])
    first, last = max(at[0] for at, _ in lines), min(at[-1] for at, _ in lines)
    if first > last:
        return Curve(f"{label}: no range of {x} in common", *_NO_LINE)
    grid = np.linspace(first, last, _GRID)
    interval = mean_interval(np.stack([np.interp(grid, at, y) for at, y in lines]))
    return Curve(label, grid, *interval)


def _drawn(group: Sequence[History]) -> list[History]:
    return [history for history in group if np.isfinite(history.metrics["mean_return"]).any()]


def _statistic(group: Sequence[History]) -> str:
    """Return the statistic that a curve shows of a configuration's seeds, and of how many."""
    if len(group) == 1:
        return f"seed {group[0].seed}"
    drawn = _drawn(group)
    lengths = [len(history.metrics["update"]) for history in drawn]
    notes = []
    if 0 < len(drawn) < len(group):
        notes.append("no episode finished in the others")
    if shorter := sum(length < max(lengths) for length in lengths):
        notes.append(f"{shorter:,} stopped early")
    seeds = f"{len(group):,} seeds"
    if len(drawn) < len(group) and drawn:
        seeds = f"{len(drawn):,} of {seeds}"
    what = f"mean of {seeds} with 95% t interval" if len(drawn) > 1 else seeds
    return f"{what} ({'; '.join(notes)})" if notes else what


def _smoothed(history: History, x: str, column: str, smooth: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and a trailing moving average, without the updates where no episode finished."""
    y = history.metrics[column]
    known = np.isfinite(y)
    at, y = history.metrics[x][known], y[known]
    sums = np.concatenate([[0.0], np.cumsum(y)])
    ends = np.arange(1, len(y) + 1)
    starts = np.maximum(ends - smooth, 0)
    return at, (sums[ends] - sums[starts]) / (ends - starts)
