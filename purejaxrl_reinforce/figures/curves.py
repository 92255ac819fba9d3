"""Learning curves of runs and settings: returns of each update, with intervals over seeds."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from purejaxrl_reinforce.algorithm.environments.environment import THRESHOLDS, task
from purejaxrl_reinforce.output.plots import (
    GREEDY_RETURN,
    MOST_CURVES,
    TRAINING_RETURN,
    Curve,
    Panel,
    Style,
    draw_curves,
)
from purejaxrl_reinforce.output.text import count, setting_labels
from purejaxrl_reinforce.runs.load import History
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.seed_curves import notes_on, run_curves, seeds_curve, statistic_of

_COLUMNS = ("env_steps", "mean_return", "min_return", "max_return", "eval_return")
# Axis labels of the columns of the metrics that curves are drawn over.
X_LABELS = {
    "env_steps": "environment steps",
    "seconds": "seconds of training, compilation apart",
    "update": "update",
}
# Those of the columns that are drawn.
Y_LABELS = {"mean_return": TRAINING_RETURN, "eval_return": GREEDY_RETURN}


def curves_figure(
    groups: Sequence[Sequence[History]],
    x: str,
    smooth: int = 1,
    style: Style = "screen",
    what: str = "",
    y: str = "mean_return",
) -> Figure:
    """Return the figure of `learning_curves`.

    Args:
        groups: histories that differ only by seed.
        x: the column of the metrics to draw over, one of X_LABELS.
        smooth: updates of the trailing moving average.
        style: of the figure.
        what: part of the title; "": the seed of a run, or the number of settings.
        y: the column of the metrics to draw, one of Y_LABELS.

    Raises:
        ValueError: there is nothing to draw, or too much.
    """
    panels, common = learning_curves(groups, x, smooth, y)
    seeds = {history.seed for group in groups for history in group}
    if not what:
        alone = len(groups) == len(groups[0]) == 1
        what = f"seed {groups[0][0].seed}" if alone else count(len(groups), "setting")
    title = f"{' and '.join(panels)}: learning curves, {what}"
    ylabel = Y_LABELS[y]
    if smooth > 1:
        ylabel += f"\n(mean of the last {smooth:,} updates)"
    xlabel = X_LABELS[x]
    if x != "update" and len(seeds) > 1:
        xlabel += ", mean over the seeds"
    return draw_curves(title, xlabel, ylabel, panels, style, common)


def learning_curves(
    groups: Sequence[Sequence[History]], x: str, smooth: int, y: str = "mean_return"
) -> tuple[dict[str, Panel], str]:
    """Return the curves of each environment, and what the legend says of all of them.

    The curve of a group is the interquartile mean over its seeds at each update, with its 95%
    interval or, below MIN_SEEDS seeds, their range. It is drawn at the mean environment steps or
    seconds of that update and goes on for as long as any seed; the label says how many ended
    before. Where no episode finished, it has no points. Between greedy returns it is a line.

    Raises:
        ValueError: there are more than MOST_CURVES of an environment; there is nothing to draw.
    """
    if len(groups) == len(groups[0]) == 1 and y == "mean_return":
        (history,) = groups[0]
        name = task(history.config)
        return {name: _panel(name, run_curves(history, x, smooth))}, ""
    names, statistics = _names(groups), [statistic_of(group, y) for group in groups]
    several = {s for group, s in zip(groups, statistics, strict=True) if len(group) > 1}
    common = several.pop() if len(groups) > 1 and len(several) == 1 else ""
    by_env: dict[str, list[Curve]] = {}
    for group, name, statistic in zip(groups, names, statistics, strict=True):
        parts = (name, "" if statistic == common else statistic, *notes_on(group, y))
        curve = seeds_curve(group, ", ".join(filter(None, parts)), x, y, smooth)
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
