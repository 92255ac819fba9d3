"""Figures of a sweep: learning curves, final returns, performance profiles, a heat map."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from purejaxrl_reinforce.algorithm.environment import THRESHOLDS
from purejaxrl_reinforce.evaluation.statistics import interquartile_mean, performance_profile
from purejaxrl_reinforce.output.interval import Interval
from purejaxrl_reinforce.output.plots import COLORS, Curve, draw_curves
from purejaxrl_reinforce.output.text import count, show
from purejaxrl_reinforce.sweeps.ranking import TOO_FEW, show_score, swept_fields
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.summary import Summary, agent_scores, by_env

# More bands than this hide each other; more rows than this are not looked at.
_MOST_BANDS = 8
_MOST_ROWS = 20
# Seeds end their updates at different numbers of steps: their curves meet on so many points.
_GRID = 400
# Inches of the pictures, as in `plots`.
_WIDTH, _NARROW = 7, 5
_GOLDEN = (5**0.5 - 1) / 2
_SEED: dict[str, Any] = {
    "color": COLORS[0], "linestyle": "none", "marker": "o", "markersize": 4, "markeredgewidth": 0,
}  # fmt: skip
_MEAN: dict[str, Any] = {"color": COLORS[1], "linewidth": 2, "marker": "D", "markersize": 5}
_SOLVED: dict[str, Any] = {"color": COLORS[2], "linestyle": "--"}


class _Grid(NamedTuple):
    """Two swept fields, their values, and a summary of each pair of values: down, then across."""

    names: tuple[str, str]
    values: tuple[list[Any], list[Any]]
    cells: list[list[Summary]]


def sweep_figures(
    results: SweepResults, summaries: Sequence[Summary], narrow: bool = False
) -> dict[str, Figure]:
    """Return the pictures that these results have.

    Args:
        results: of the sweep.
        summaries: of its settings, as `summarize` returns them.
        narrow: make pictures whose letters can be read at the width of a phone.

    Returns:
        `learning_curves`, where any episode finished; `final_returns`; `performance_profiles`,
        where any agent did not diverge; `heatmap`, where all pairs of the values of two fields
        were swept in one environment.
    """
    figures = {
        "learning_curves": _learning_curves(results, summaries, narrow),
        "final_returns": _final_returns(results, summaries, narrow),
        "performance_profiles": _performance_profiles(results, summaries, narrow),
        "heatmap": _heatmap(results, summaries, narrow),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def iqm_curve(results: SweepResults, setting: int, label: str) -> Curve | None:
    """Return how a setting learns: the seeds' interquartile mean and the quartiles around it.

    Over environment steps, up to the last that all seeds have. Between the updates in which an
    episode finished, a seed's mean return is interpolated; before the first and after the last of
    them it is taken to be the same. Seeds that never finished any are left out, which the label
    says; None where that is all of them.
    """
    own = results.configs[setting].num_updates
    steps = results.metrics["env_steps"][setting, :, :own].astype(float)
    returns = results.metrics["mean_return"][setting, :, :own]
    known = np.isfinite(returns)
    seeds = np.flatnonzero(known.any(axis=1))
    if not len(seeds):
        return None
    if len(seeds) < len(known):
        label += f" ({len(seeds):,} of {len(known):,} seeds: no episode finished in the others)"
    last = steps[seeds, -1].min()
    first = min(last, max(steps[i][known[i]][0] for i in seeds))
    grid = np.linspace(first, last, _GRID if first < last else 1)
    lines = np.stack([np.interp(grid, steps[i][known[i]], returns[i][known[i]]) for i in seeds])
    if len(seeds) == 1:
        return Curve(label, grid, lines[0])
    lower, upper = np.percentile(lines, [25, 75], axis=0)
    return Curve(label, grid, interquartile_mean(lines, axis=0), lower, upper)


def _learning_curves(
    results: SweepResults, summaries: Sequence[Summary], narrow: bool
) -> Figure | None:
    shown = _best(summaries, _MOST_BANDS)
    curves = [iqm_curve(results, summary.setting, summary.label) for summary in shown]
    drawn = [curve for curve in curves if curve is not None]
    if not drawn:
        return None
    title = _title("learning curves", summaries, len(shown))
    seeds = summaries[0].num_seeds
    what = f"interquartile mean of {seeds:,} seeds,\nband: the quartiles (25% to 75%)"
    return draw_curves(
        title,
        "environment steps",
        "mean return of an update's episodes",
        drawn,
        narrow,
        "one seed" if seeds == 1 else what,
    )


def _performance_profiles(
    results: SweepResults, summaries: Sequence[Summary], narrow: bool
) -> Figure | None:
    shown, scores = _best(summaries, _MOST_BANDS), agent_scores(results)
    drawn = scores[[summary.setting for summary in shown]]
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return None
    room = 0.02 * np.ptp(finite) or 1.0
    thresholds = np.linspace(finite.min() - room, finite.max() + room, _GRID)
    curves = []
    for summary in shown:
        profile = performance_profile(scores[summary.setting], thresholds)
        curves.append(Curve(summary.label, thresholds, *profile))
    title = _title("performance profiles", summaries, len(shown))
    ylabel = "fraction of seeds above that"
    seeds = summaries[0].num_seeds
    what = f"{count(seeds, 'seed')}, band: 95% interval\nof each point"
    return draw_curves(title, "mean return of greedy episodes", ylabel, curves, narrow, what)


def _final_returns(
    results: SweepResults, summaries: Sequence[Summary], narrow: bool
) -> Figure | None:
    """Draw a row for each setting: a dot for each seed, and the mean with its interval."""
    shown, scores = _best(summaries, _MOST_ROWS), agent_scores(results)
    thresholds = {THRESHOLDS[s.env] for s in shown if s.env in THRESHOLDS}
    drawn = scores[[s.setting for s in shown]]
    if not np.isfinite(drawn).any():
        return None
    labels = [_row_label(summary, narrow) for summary in shown]
    lines = len(labels) * max(2, _most_lines(labels))
    width = _NARROW if narrow else _WIDTH
    figure = Figure(figsize=(width, 2.4 + 0.18 * lines), layout="constrained")
    axes = figure.add_subplot()
    ends = np.array([*drawn[np.isfinite(drawn)], *thresholds])
    room = 0.03 * np.ptp(ends) or 1.0
    axes.set_xlim(ends.min() - room, ends.max() + room)
    for row, summary in enumerate(shown):
        _draw_seeds(axes, row, scores[summary.setting])
        if summary.num_seeds > 1:
            _draw_mean(axes, row, summary.iqm)
        if summary.env in THRESHOLDS:
            axes.plot([THRESHOLDS[summary.env]] * 2, [row - 0.5, row + 0.5], **_SOLVED)
    axes.set_yticks(range(len(shown)), labels)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("mean return of greedy episodes")
    axes.grid(alpha=0.3, axis="x")
    title = _title("final returns", summaries, len(shown))
    figure.suptitle("\n".join(textwrap.wrap(title, 10 * width)))
    _explain_rows(figure, shown, sorted(thresholds))
    return figure


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
        axes.plot([low, float(iqm.high)], [row, row], color=COLORS[1], linewidth=2)
    if np.isfinite(iqm.value):
        axes.plot(iqm.value, row, **_MEAN)


def _explain_rows(figure: Figure, shown: Sequence[Summary], thresholds: Sequence[float]) -> None:
    """Put a legend below."""
    bounded = any(np.isfinite(summary.iqm.high) for summary in shown)
    mean = f"interquartile mean{', 95% interval' if bounded else f' ({TOO_FEW} for an interval)'}"
    handles = [Line2D([], [], **_SEED, label="a seed"), Line2D([], [], **_MEAN, label=mean)]
    if shown[0].num_seeds == 1:
        handles.pop()
    if thresholds:
        label = "solved from " + " and ".join(f"{threshold:g}" for threshold in thresholds)
        handles.append(Line2D([], [], **_SOLVED, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=1)


def _heatmap(results: SweepResults, summaries: Sequence[Summary], narrow: bool) -> Figure | None:
    grid = _grid(results, summaries)
    if grid is None:
        return None
    iqm = np.array([[float(summary.iqm.value) for summary in row] for row in grid.cells])
    if not np.isfinite(iqm).any():
        return None
    rows, columns = iqm.shape
    width = max(_NARROW if narrow else _WIDTH, 2.2 + 0.65 * columns)
    down, across = ([_tick(value) for value in values] for values in grid.values)
    row_height = max(0.42, 0.2 * _most_lines(down))
    figure = Figure(figsize=(width, 1.8 + max(row_height * rows, 1.6)), layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(np.ma.masked_invalid(iqm), aspect="auto", cmap="cividis")
    middle = np.mean(image.get_clim())  # where the colors turn from dark to light
    axes.set_facecolor("#dddddd")  # of those without a number
    for i, j in np.ndindex(rows, columns):
        dark = bool(np.isfinite(iqm[i, j]) and iqm[i, j] < middle)
        axes.text(
            j, i, _cell(grid.cells[i][j]), ha="center", va="center", fontsize=8,
            color="white" if dark else "black",
        )  # fmt: skip
    axes.set_xticks(range(columns), across, rotation=90 if max(map(len, across)) > 8 else 0)
    axes.set_yticks(range(rows), down)
    axes.set(xlabel=grid.names[1], ylabel=grid.names[0])
    figure.colorbar(image, label="interquartile mean\nof the seeds' greedy returns")
    title = _title("final returns", summaries, len(summaries))
    if summaries[0].solved is not None:
        title += "; below each, the share of seeds that solve it"
    figure.suptitle("\n".join(textwrap.wrap(title, int(10 * width))))
    return figure


def _grid(results: SweepResults, summaries: Sequence[Summary]) -> _Grid | None:
    """Arrange the settings by two fields; None unless each pair of values is there once."""
    if len(results.axes) != 2 or len(by_env(summaries)) > 1:
        return None
    first, second = results.axes
    cells = {
        (getattr(config, first), getattr(config, second)): i
        for i, config in enumerate(results.configs)
    }
    down, across = (list(dict.fromkeys(values)) for values in zip(*cells, strict=True))
    if not len(down) * len(across) == len(cells) == len(results.configs):
        return None
    of = {summary.setting: summary for summary in summaries}
    if len(across) > len(down):  # a page has more room down than across
        transposed = [[of[cells[a, b]] for a in down] for b in across]
        return _Grid((second, first), (across, down), transposed)
    return _Grid((first, second), (down, across), [[of[cells[a, b]] for b in across] for a in down])


def _cell(summary: Summary) -> str:
    score = show_score(summary.iqm.value)
    if summary.num_solved is None:
        return score
    return f"{score}\n{summary.num_solved / summary.num_seeds:.0%}"


def _tick(value: Any) -> str:
    # An empty tuple, no hidden layer, is shown as nothing.
    return "\n".join(textwrap.wrap(show(value) or "()", 16))


def _most_lines(labels: Sequence[str]) -> int:
    return max(label.count("\n") + 1 for label in labels)


def _best(summaries: Sequence[Summary], most: int) -> list[Summary]:
    """Return the best summaries, as many of each environment."""
    rankings = by_env(summaries).values()
    share = max(1, most // len(rankings))
    return [summary for ranked in rankings for summary in ranked[:share]][:most]


def _title(what: str, summaries: Sequence[Summary], num_shown: int) -> str:
    title = f"{' and '.join(by_env(summaries))}: {what}"
    if num_shown < len(summaries):
        return f"{title}, the best {num_shown} of {len(summaries):,} settings"
    return title if num_shown == 1 else f"{title}, {num_shown} settings"


def _row_label(summary: Summary, narrow: bool) -> str:
    width = 26 if narrow else 30
    lines = [part for field in swept_fields(summary.label) for part in textwrap.wrap(field, width)]
    if summary.num_diverged:
        lines.append(f"({summary.num_diverged:,} of {summary.num_seeds:,} diverged)")
    return "\n".join(lines)
