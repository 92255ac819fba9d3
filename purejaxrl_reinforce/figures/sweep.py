"""Figures of a sweep: learning curves, final returns, performance profiles, a heat map."""

import itertools
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce.config import get_field
from purejaxrl_reinforce.decisions.ranking import Summary, show_score, swept_fields
from purejaxrl_reinforce.figures import style as styles
from purejaxrl_reinforce.figures.curves import Runs, learning_curves
from purejaxrl_reinforce.figures.style import Curve, Style, draw_curves, styled, wrapped
from purejaxrl_reinforce.output.text import count, short_values
from purejaxrl_reinforce.statistics import Interval, performance_profile
from purejaxrl_reinforce.tasks import RETURN_RANGES, THRESHOLDS, grouped

# More curves than this hide each other; more rows than this are not looked at.
_MOST_CURVES, _MOST_ROWS = 8, 20
# Points of a performance profile.
_POINTS = 400
_ALL = (-np.inf, np.inf)
_GOLDEN = (5**0.5 - 1) / 2


class Setting(NamedTuple):
    """One setting of a sweep.

    Attributes:
        runs: of its seeds.
        scores: mean greedy return of each seed after training, [seeds]; -inf: it diverged.
        summary: of the scores.
    """

    runs: Runs
    scores: np.ndarray
    summary: Summary

    @property
    def fields(self) -> list[str]:
        """The swept fields, each as `name=value`, but for the environment, which has own axes."""
        label = self.summary.label
        return [x for x in swept_fields(label) if not x.startswith("env=")] or [label]


def sweep_figures(
    settings: Sequence[Setting], axes: Mapping[str, Sequence[Any]], style: Style = "screen"
) -> dict[str, Figure]:
    """Return the pictures of a sweep's settings, the best first within each environment.

    Returns:
        `learning_curves`, where any episode finished; `evaluation_curves`, of greedy returns
        during training, with `eval_every`; `final_returns` and `performance_profiles`, where any
        of the agents shown did not diverge; `heatmap`, where all pairs of the values of two fields
        were swept in one environment.
    """
    figures = {
        "learning_curves": _curves(settings, style, "mean_return"),
        "evaluation_curves": _curves(settings, style, "eval_return"),
        "final_returns": _final_returns(settings, style),
        "performance_profiles": _performance_profiles(settings, style),
        "heatmap": _heatmap(settings, axes, style),
    }
    return {name: figure for name, figure in figures.items() if figure is not None}


def _curves(settings: Sequence[Setting], style: Style, y: str) -> Figure | None:
    groups = [setting.runs for setting in _best(settings, _MOST_CURVES)]
    if not any(np.isfinite(metrics[y]).any() for group in groups for metrics in group.metrics):
        return None
    return learning_curves(groups, y=y, style=style, what=_what(settings, len(groups)))


def _performance_profiles(settings: Sequence[Setting], style: Style) -> Figure | None:
    shown, panels = _best(settings, _MOST_CURVES), {}
    num_seeds = len(shown[0].scores)
    banded = num_seeds >= styles.BAND_SEEDS
    for env, ranked in _by_env(shown).items():
        scores = np.concatenate([setting.scores for setting in ranked])
        finite = scores[np.isfinite(scores)]
        if not len(finite):
            continue
        room = 0.02 * np.ptp(finite) or 1.0
        low, high = RETURN_RANGES.get(env, _ALL)
        x = np.linspace(max(low, finite.min() - room), min(high, finite.max() + room), _POINTS)
        profiles = [performance_profile(setting.scores, x) for setting in ranked]
        panels[env] = [
            Curve(", ".join(setting.fields), x, value, np.stack(ends) if banded else None)
            for setting, (value, *ends) in zip(ranked, profiles, strict=True)
        ]
    if not panels:
        return None
    legend = count(num_seeds, "seed") + (", band: 95% interval of each point" if banded else "")
    title, ylabel = _title("performance profiles", settings, len(shown)), "seeds with return > x"
    return draw_curves(title, styles.GREEDY_RETURN, f"fraction of {ylabel}", panels, style, legend)


def _final_returns(settings: Sequence[Setting], style: Style) -> Figure | None:
    """Draw a row for each setting: a dot for each seed, and the mean with its interval."""
    shown = _best(settings, _MOST_ROWS)
    if not any(np.isfinite(setting.scores).any() for setting in shown):
        return None
    rankings = _by_env(shown)
    with styled(style):
        letter, width = mpl.rcParams["font.size"] / 72, mpl.rcParams["figure.figsize"][0]
        lines = [
            len(ranked) * max(2, *(_row_label(s).count("\n") + 1 for s in ranked))
            for ranked in rankings.values()
        ]
        height = letter * (8 + sum(1.3 * number + 4 for number in lines))
        figure = Figure(figsize=(width, height))
        panels = figure.subplots(len(rankings), squeeze=False, height_ratios=lines)[:, 0]
        legend: dict[str, Any] = {}
        for (env, ranked), axes in zip(rankings.items(), panels, strict=True):
            _draw_rows(axes, ranked, THRESHOLDS.get(env))
            axes.set_title(env if len(rankings) > 1 else "")
            handles, labels = axes.get_legend_handles_labels()
            legend |= zip(labels, handles, strict=True)
        figure.suptitle(wrapped(_title("final returns", settings, len(shown))))
        columns = len(legend) if width > 6 else 1
        place: Any = {"loc": "outside lower center", "ncols": columns}
        figure.legend(legend.values(), legend.keys(), **place)
    return figure


def _draw_rows(axes: Axes, ranked: Sequence[Setting], threshold: float | None) -> None:
    ends = np.array([number for s in ranked for number in (*s.scores, *s.summary.iqm)], float)
    ends = np.append(ends[np.isfinite(ends)], [] if threshold is None else threshold)
    if len(ends):
        room = 0.03 * np.ptp(ends) or 1.0
        axes.set_xlim(ends.min() - room, ends.max() + room)
    for row, setting in enumerate(ranked):
        x = np.sort(setting.scores[np.isfinite(setting.scores)])
        # Multiples of the golden section keep neighbors apart, the same way each time.
        up = (0.5 + np.arange(len(x)) * _GOLDEN) % 1 - 0.5
        # 1,024 dots show where they are dense; a few are seen one by one.
        alpha = max(0.1, min(0.7, 20 / len(setting.scores)))
        look: Any = {"color": styles.COLORS[0], "markeredgewidth": 0, "alpha": alpha}
        axes.plot(x, row + 0.6 * up, "o", label="" if row else "seed", **look)
        if len(setting.scores) > 1:
            _draw_mean(axes, row, setting.summary.iqm)
    if threshold is not None:
        axes.axvline(threshold, label=f"solved: {threshold:g}", **styles.REFERENCE)
    axes.set_yticks(range(len(ranked)), map(_row_label, ranked))
    axes.set_ylim(len(ranked) - 0.5, -0.5)
    axes.set_xlabel(styles.GREEDY_RETURN)
    axes.grid(visible=False, axis="y")


def _draw_mean(axes: Axes, row: int, iqm: Interval) -> None:
    around = "too few seeds for an interval"
    if np.isfinite(iqm.high):
        around = "95% interval"
        # One that reaches down to those who diverged reaches the edge.
        low = max(float(iqm.low), axes.get_xlim()[0])
        axes.plot([low, float(iqm.high)], [row, row], "|-", color=styles.COLORS[1])
    label = "" if row else f"interquartile mean, {around}"
    axes.plot(iqm.value, row, "D-", color=styles.COLORS[1], label=label)


def _heatmap(
    settings: Sequence[Setting], axes: Mapping[str, Sequence[Any]], style: Style
) -> Figure | None:
    """Draw the interquartile mean for each pair of values of two fields."""
    if len(axes) != 2 or len(_by_env(settings)) > 1:
        return None
    # The field with more values goes down, where a page has more room.
    names = sorted(axes, key=lambda name: -len(axes[name]))
    found = {tuple(get_field(s.runs.config, name) for name in names): s for s in settings}
    values = [axes[name] for name in names]
    if found.keys() != set(itertools.product(*values)):  # fields change together
        return None
    cells = [[found[row, column] for column in values[1]] for row in values[0]]
    iqm = np.array([[float(setting.summary.iqm.value) for setting in row] for row in cells])
    if not np.isfinite(iqm).any():
        return None
    title = _title("final returns", settings, len(settings))
    if settings[0].summary.solved is not None:
        title += "; below each, the share of seeds that solve it"
    with styled(style):
        em = mpl.rcParams["font.size"] / 72
        rows, columns = map(_ticks, values)
        width = max(mpl.rcParams["figure.figsize"][0], (16 + 4.7 * len(columns)) * em)
        row_height = max(3.0, 1.44 * max(tick.count("\n") + 1 for tick in rows)) * em
        figure = Figure(figsize=(width, 13 * em + max(row_height * len(rows), 11.5 * em)))
        panel = figure.add_subplot(ylabel=names[0], xlabel=names[1])
        panel.grid(visible=False)
        panel.set_facecolor("#dddddd")  # of cells without a number
        image = panel.imshow(np.ma.masked_invalid(iqm), aspect="auto", cmap="cividis")
        for (i, j), value in np.ndenumerate(iqm):
            # Below the middle of the scale cells are dark.
            dark = np.isfinite(value) and value < np.mean(image.get_clim())
            look: Any = {"color": "white" if dark else "black", "fontsize": "small"}
            panel.text(j, i, _cell(cells[i][j]), ha="center", va="center", **look)
        upright = 90 if max(map(len, columns)) > 8 else 0
        panel.set_xticks(range(len(columns)), columns, rotation=upright)
        panel.set_yticks(range(len(rows)), rows)
        figure.colorbar(image, label=f"interquartile mean\nof the {styles.GREEDY_RETURN}s")
        figure.suptitle(wrapped(title))
    return figure


def _cell(setting: Setting) -> str:
    text, solved = show_score(setting.summary.iqm.value), setting.summary.solved
    return text if solved is None else f"{text}\n{solved.value:.0%}"


def _ticks(values: Sequence[Any]) -> list[str]:
    return ["\n".join(textwrap.wrap(text.replace("x", " x "), 16)) for text in short_values(values)]


def _by_env(settings: Sequence[Setting]) -> dict[str, list[Setting]]:
    """Return the settings of each environment, in their order."""
    return grouped(settings, lambda setting: setting.summary.env)


def _best(settings: Sequence[Setting], most: int) -> list[Setting]:
    """Return the best settings, as many of each environment."""
    rankings = _by_env(settings).values()
    share = max(1, most // len(rankings))
    return [setting for ranked in rankings for setting in ranked[:share]][:most]


def _title(what: str, settings: Sequence[Setting], num_shown: int) -> str:
    return f"{' and '.join(_by_env(settings))}: {what}, {_what(settings, num_shown)}"


def _what(settings: Sequence[Setting], num_shown: int) -> str:
    if num_shown < len(settings):
        return f"the best {num_shown} of {len(settings):,} settings"
    return count(num_shown, "setting")


def _row_label(setting: Setting) -> str:
    lines = [wrapped(field, 0.42) for field in setting.fields]
    if num_diverged := int(np.isinf(setting.scores).sum()):
        lines.append(f"({num_diverged:,} of {len(setting.scores):,} diverged)")
    return "\n".join(lines)
