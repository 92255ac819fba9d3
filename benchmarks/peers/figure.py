"""Figures of all entries: speed, time to solve from launch, learning curves."""

import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from purejaxrl_reinforce.figures.style import (
    COLORS,
    MARKERS,
    REFERENCE,
    STROKES,
    TRAINING_RETURN,
    styled,
)

SOLVED = 475


@styled()
def draw_speed(result: dict[str, Any]) -> Figure:
    """Draw steps per second and seconds of training to solve, side by side."""
    rows = result["summary"]
    figure = Figure(figsize=(11, 1.7 + 0.3 * len(rows)))
    speed, solving = figure.subplots(1, 2, sharey=True)
    _name_rows(speed, rows)
    failures = ["failed" if row["failed"] == row["runs"] else None for row in rows]
    _draw_rows(speed, result, lambda run: run["sps"], failures)
    _draw_rows(solving, result, _training_seconds, [_fraction(row) for row in rows])
    speed.set(title="Speed: more is better", xlabel="environment steps per second")
    solving.set(title="Training alone: less is better", xlabel=f"seconds until return {SOLVED}")
    figure.suptitle(f"{_where(result)}\n{_MARKS}; imports and compilation apart")
    return figure


@styled()
def draw_solving(result: dict[str, Any]) -> Figure:
    """Draw seconds from launch until solved, and those of training alone in gray."""
    rows = result["summary"]
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(rows)))
    axes = figure.subplots()
    _name_rows(axes, rows)
    _draw_rows(axes, result, _training_seconds, None)
    _draw_rows(axes, result, _all_seconds, [_fraction(row) for row in rows])
    axes.set(xlabel=f"seconds until the mean return of 100 episodes reaches {SOLVED}")
    figure.suptitle(
        f"Time to solve {_where(result)}\nimports, compilation and training together "
        f"(gray: training alone)\n{_MARKS}"
    )
    return figure


@styled()
def draw_learning(result: dict[str, Any]) -> Figure:
    """Draw the median seed's return against seconds from launch and against steps.

    One line per peer and network: with its own batch where it was run with that.
    """
    shown: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in result["summary"]:
        shown.setdefault((row["title"], row["network"]), _done(result, row))
    figure = Figure(figsize=(9, 5.2))
    over_seconds, over_steps = figure.subplots(1, 2, sharey=True)
    lines = {label: _median_run(runs) for label, runs in shown.items() if runs}
    titles = list(dict.fromkeys(title for title, _ in lines))
    for i, ((title, network), run) in enumerate(lines.items()):
        steps, seconds, returns = zip(*run["curve"], strict=True)
        waited = run["startup_seconds"] + run["compile_seconds"]
        color, marker = _STYLES[titles.index(title) % len(_STYLES)]
        style: Any = {"color": color, "marker": marker, "label": f"{title} ({network})"}
        # Lines with one layer are drawn through, those with two or more are broken.
        style |= {"markevery": (0.01 * i, 0.15), "linestyle": STROKES[network != _ONE_LAYER]}
        over_seconds.plot([waited + x for x in seconds], returns, **style)
        over_steps.plot(steps, returns, **style)
    for axes in (over_seconds, over_steps):
        _scale(axes)
        axes.axhline(SOLVED, label=f"solved: {SOLVED}", **REFERENCE)
    over_seconds.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    over_seconds.set(xlabel="seconds, with imports and compilation")
    over_seconds.set(ylabel=f"{TRAINING_RETURN}, mean of the last 100 episodes")
    over_steps.set(xlabel="environment steps")
    legend = over_seconds.get_legend_handles_labels()
    figure.legend(*legend, loc="outside lower center", ncols=3)
    figure.suptitle(f"{_where(result)}: median seed of each")
    return figure


FIGURES: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "peers": draw_speed,
    "peers_solving": draw_solving,
    "peers_curves": draw_learning,
}

_ONE_LAYER = "64 ReLU"
# Ours first, in the color that it has in the other figures; two more than a picture usually has.
_STYLES = list(
    zip(
        (COLORS[1], COLORS[0], *COLORS[2:], "#888888", "#8B5A2B"), (*MARKERS, "*", "<"), strict=True
    )
)
_MARKS = "diamonds: median over seeds; dots: seeds"
_GRAY = "#AAAAAA"


def _where(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return f"CartPole-v1 on {machine['cores']} cores of {machine['cpu']}"


def _fraction(row: dict[str, Any]) -> str:
    return f"{row['solved']} of {row['runs']} solved"


def _done(result: dict[str, Any], row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of an entry that did not fail."""
    return [r for r in result["runs"] if r["entry"] == row["entry"] and "error" not in r]


def _training_seconds(run: dict[str, Any]) -> float:
    return run["solved_at"]["seconds"] if run["solved_at"] else math.inf


def _all_seconds(run: dict[str, Any]) -> float:
    return run["solved_at"]["total_seconds"] if run["solved_at"] else math.inf


def _median_run(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the run in the middle by when it solved the task, then by its last return."""
    order = sorted(runs, key=lambda run: (_all_seconds(run), -run["curve"][-1][2]))
    return order[len(order) // 2]


def _scale(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda x, _: _short(x) or "")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_rows(axes: Axes, rows: list[dict[str, Any]]) -> None:
    axes.set_yticks(range(len(rows)), [row["entry"] for row in rows])
    axes.invert_yaxis()
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row["peer"] == "ours" else "normal")


def _draw_rows(
    axes: Axes,
    result: dict[str, Any],
    value: Callable[[dict[str, Any]], float],
    remarks: Sequence[str | None] | None,
) -> None:
    """Draw a dot per seed, a diamond at the median and a remark; without remarks in gray."""
    _scale(axes)
    rows = result["summary"]
    values = [[value(run) for run in _done(result, row)] for row in rows]
    finite = [x for group in values for x in group if math.isfinite(x)] or [1.0]
    low, high = min(finite), max(finite)
    for i, (row, group) in enumerate(zip(rows, values, strict=True)):
        color = COLORS[1] if row["peer"] == "ours" else COLORS[0]
        style: Any = {"color": _GRAY if remarks is None else color}
        known = [x for x in group if math.isfinite(x)]
        # A run that failed counts as one that never got there.
        median = statistics.median(group + [math.inf] * row["failed"])
        axes.scatter(known, [i] * len(known), s=14, alpha=0.7, **style)
        if math.isfinite(median):
            axes.scatter(median, i, s=45, marker="D", **style)
        if remarks is not None:
            text = "   ".join(filter(None, (_short(median), remarks[i])))
            where = (max([*known, low]), i)
            axes.annotate(text, where, (8, 0), textcoords="offset points", va="center", fontsize=8)
    if remarks is not None:
        # Room on the right for the remarks, in decades.
        axes.set_xlim(right=high * (high / min(low, axes.dataLim.x0)) ** 0.35)


def _short(value: float) -> str | None:
    if not math.isfinite(value):
        return None
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"
