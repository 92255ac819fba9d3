"""Figures of a sweep: learning curves, final returns, performance profiles, a heat map."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from purejaxrl_reinforce.algorithm.environments.environment import RETURN_RANGES, THRESHOLDS
from purejaxrl_reinforce.evaluation.statistics import performance_profile
from purejaxrl_reinforce.output.colors import COLORS
from purejaxrl_reinforce.output.interval import Interval
from purejaxrl_reinforce.output.plots import (
    GREEDY_RETURN,
    REFERENCE,
    Curve,
    Panel,
    Style,
    draw_curves,
    styled,
    wrapped,
)
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.sweeps.heatmap import heatmap
from purejaxrl_reinforce.sweeps.learning_curves import curves_figure, setting_histories
from purejaxrl_reinforce.sweeps.ranking import TOO_FEW, swept_fields
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.summary import Summary, agent_scores, by_env

# More bands than this hide each other; more rows than this are not looked at.
_MOST_BANDS = 8
_MOST_ROWS = 20
# Points of a performance profile.
_POINTS = 400
_ALL = (-np.inf, np.inf)
_GOLDEN = (5**0.5 - 1) / 2
_SEED: dict[str, Any] = {
    "color": COLORS[0], "linestyle": "none", "marker": "o", "markeredgewidth": 0,
}  # fmt: skip
_MEAN: dict[str, Any] = {"color": COLORS[1], "linestyle": "-", "marker": "D"}


def sweep_figures(
    results: SweepResults, summaries: Sequence[Summary], style: Style = "screen"
) -> dict[str, Figure]:
    """Return the pictures that these results have.

    Args:
        results: of the sweep.
        summaries: of its settings, as `summarize` returns them.
        style: of the pictures.

    Returns:
        `learning_curves`, where any episode finished; `evaluation_curves`, of greedy returns
        during training, with `eval_every`; `final_returns`; `performance_profiles`, where any
        agent did not diverge; `heatmap`, where all pairs of the values of two fields were swept in
        one environment.
    """
    figures = {
        "learning_curves": _curves(results, summaries, style, "mean_return"),
        "evaluation_curves": _curves(results, summaries, style, "eval_return"),
        "final_returns": _final_returns(results, summaries, style),
        "performance_profiles": _performance_profiles(results, summaries, style),
        "heatmap": heatmap(results, summaries, style),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _curves(
    results: SweepResults, summaries: Sequence[Summary], style: Style, column: str
) -> Figure | None:
    if not np.isfinite(results.metrics[column]).any():
        return None
    shown = _best(summaries, _MOST_BANDS)
    groups = setting_histories(results, [summary.setting for summary in shown])
    what = _what(summaries, len(shown))
    try:
        return curves_figure(groups, "env_steps", style=style, what=what, y=column)
    except ValueError:  # no episode finished in any of these
        return None


def _performance_profiles(
    results: SweepResults, summaries: Sequence[Summary], style: Style
) -> Figure | None:
    shown, scores = _best(summaries, _MOST_BANDS), agent_scores(results)
    panels = {}
    for env, ranked in by_env(shown).items():
        drawn = scores[[summary.setting for summary in ranked]]
        finite = drawn[np.isfinite(drawn)]
        if not len(finite):
            continue
        room = 0.02 * np.ptp(finite) or 1.0
        low, high = RETURN_RANGES.get(env, _ALL)
        x = np.linspace(max(low, finite.min() - room), min(high, finite.max() + room), _POINTS)
        profiles = [performance_profile(scores[summary.setting], x) for summary in ranked]
        labels = map(_label, ranked)
        curves = [Curve(label, x, *y) for label, y in zip(labels, profiles, strict=True)]
        panels[env] = Panel(curves)
    if not panels:
        return None
    title = _title("performance profiles", summaries, len(shown))
    what = f"{count(summaries[0].num_seeds, 'seed')}, band: 95% interval of each point"
    ylabel = "fraction of seeds above that"
    return draw_curves(title, GREEDY_RETURN, ylabel, panels, style, what)


def _final_returns(
    results: SweepResults, summaries: Sequence[Summary], style: Style
) -> Figure | None:
    """Draw a row for each setting: a dot for each seed, and the mean with its interval."""
    shown, scores = _best(summaries, _MOST_ROWS), agent_scores(results)
    if not np.isfinite(scores[[summary.setting for summary in shown]]).any():
        return None
    rankings = by_env(shown)
    with styled(style):
        letter, width = mpl.rcParams["font.size"] / 72, mpl.rcParams["figure.figsize"][0]
        lines = [
            len(r) * max(2, *(_row_label(s).count("\n") + 1 for s in r)) for r in rankings.values()
        ]
        height = letter * (8 + sum(1.3 * number + 4 for number in lines))
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(len(rankings), squeeze=False, height_ratios=lines)[:, 0]
        for (env, ranked), axes in zip(rankings.items(), panels, strict=True):
            _draw_rows(axes, ranked, scores)
            axes.set_title(env if len(rankings) > 1 else "")
        figure.suptitle(wrapped(_title("final returns", summaries, len(shown))))
        _explain_rows(figure, shown)
    return figure


def _draw_rows(axes: Axes, ranked: Sequence[Summary], scores: np.ndarray) -> None:
    threshold = THRESHOLDS.get(ranked[0].env)
    drawn = scores[[summary.setting for summary in ranked]]
    bounds = [bound for summary in ranked for bound in summary.iqm]
    ends = [x for x in [*drawn.flat, *bounds, threshold] if x is not None and np.isfinite(x)]
    if ends:
        room = 0.03 * np.ptp(ends) or 1.0
        axes.set_xlim(min(ends) - room, max(ends) + room)
    for row, summary in enumerate(ranked):
        _draw_seeds(axes, row, scores[summary.setting])
        if summary.num_seeds > 1:
            _draw_mean(axes, row, summary.iqm)
    if threshold is not None:
        axes.axvline(threshold, **REFERENCE)
    axes.set_yticks(range(len(ranked)), map(_row_label, ranked))
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    axes.set_xlabel(GREEDY_RETURN)
    axes.grid(visible=False, axis="y")


def _draw_seeds(axes: Axes, row: int, scores: np.ndarray) -> None:
    x = np.sort(scores[np.isfinite(scores)])
    # Multiples of the golden section keep neighbors apart, the same way each time.
    up = (0.5 + np.arange(len(x)) * _GOLDEN) % 1 - 0.5
    # 1,024 dots show where they are dense; a few are seen one by one.
    axes.plot(x, row + 0.6 * up, **_SEED, alpha=max(0.1, min(0.7, 20 / len(scores))))


def _draw_mean(axes: Axes, row: int, iqm: Interval) -> None:
    # Where the interval reaches down to those who diverged, it reaches the edge.
    low = max(float(iqm.low), axes.get_xlim()[0])
    if np.isfinite(iqm.high):
        axes.plot([low, float(iqm.high)], [row, row], **_MEAN | {"marker": "|"})
    if np.isfinite(iqm.value):
        axes.plot(iqm.value, row, **_MEAN)


def _explain_rows(figure: Figure, shown: Sequence[Summary]) -> None:
    """Put a legend below."""
    bounded = any(np.isfinite(summary.iqm.high) for summary in shown)
    mean = f"interquartile mean{', 95% interval' if bounded else f' ({TOO_FEW} for an interval)'}"
    handles = [Line2D([], [], **_SEED, label="a seed"), Line2D([], [], **_MEAN, label=mean)]
    if shown[0].num_seeds == 1:
        handles.pop()
    thresholds = dict.fromkeys(THRESHOLDS[s.env] for s in shown if s.env in THRESHOLDS)
    if thresholds:
        label = "solved: " + " and ".join(f"{threshold:g}" for threshold in thresholds)
        handles.append(Line2D([], [], **REFERENCE, label=label))
    columns = len(handles) if figure.get_figwidth() > 6 else 1
    figure.legend(handles=handles, loc="outside lower center", ncols=columns)


def _best(summaries: Sequence[Summary], most: int) -> list[Summary]:
    """Return the best summaries, as many of each environment."""
    rankings = by_env(summaries).values()
    share = max(1, most // len(rankings))
    return [summary for ranked in rankings for summary in ranked[:share]][:most]


def _title(what: str, summaries: Sequence[Summary], num_shown: int) -> str:
    return f"{' and '.join(by_env(summaries))}: {what}, {_what(summaries, num_shown)}"


def _what(summaries: Sequence[Summary], num_shown: int) -> str:
    if num_shown < len(summaries):
        return f"the best {num_shown} of {len(summaries):,} settings"
    return count(num_shown, "setting")


def _fields(summary: Summary) -> list[str]:
    """Return the swept fields but for the environment, which has axes of its own."""
    fields = swept_fields(summary.label)
    return [field for field in fields if not field.startswith("env=")] or fields


def _label(summary: Summary) -> str:
    return ", ".join(_fields(summary))


def _row_label(summary: Summary) -> str:
    lines = [wrapped(field, 0.42) for field in _fields(summary)]
    if summary.num_diverged:
        lines.append(f"({summary.num_diverged:,} of {summary.num_seeds:,} diverged)")
    return "\n".join(lines)
