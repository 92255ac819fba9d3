"""Heat map of a sweep over two fields."""

import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce.config import get_field
from purejaxrl_reinforce.output.plots import GREEDY_RETURN, Style, styled, wrapped
from purejaxrl_reinforce.output.text import count, short_values
from purejaxrl_reinforce.sweeps.ranking import show_score
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.summary import Summary, by_env


class _Grid(NamedTuple):
    """Two swept fields, their values, and a summary of each pair of values: down, then across."""

    names: tuple[str, str]
    values: tuple[list[Any], list[Any]]
    cells: list[list[Summary]]


def heatmap(results: SweepResults, summaries: Sequence[Summary], style: Style) -> Figure | None:
    """Draw the interquartile mean for each pair of values of two fields.

    None unless all pairs of the values of two fields were swept in one environment.
    """
    grid = _grid(results, summaries)
    if grid is None:
        return None
    iqm = np.array([[float(summary.iqm.value) for summary in row] for row in grid.cells])
    if not np.isfinite(iqm).any():
        return None
    title = f"{summaries[0].env}: final returns, {count(len(summaries), 'setting')}"
    if summaries[0].solved is not None:
        title += "; below each, the share of seeds that solve it"
    with styled(style):
        rows, columns = iqm.shape
        em = mpl.rcParams["font.size"] / 72
        down, across = map(_ticks, grid.values)
        width = max(mpl.rcParams["figure.figsize"][0], (16 + 4.7 * columns) * em)
        row_height = max(3.0, 1.44 * max(text.count("\n") + 1 for text in down)) * em
        figure = Figure(figsize=(width, 13 * em + max(row_height * rows, 11.5 * em)))
        axes = figure.add_subplot()
        image = axes.imshow(np.ma.masked_invalid(iqm), aspect="auto", cmap="cividis")
        _write_cells(axes, grid, iqm, np.mean(image.get_clim()))
        axes.set_xticks(range(columns), across, rotation=90 if max(map(len, across)) > 8 else 0)
        axes.set_yticks(range(rows), down)
        axes.set(xlabel=grid.names[1], ylabel=grid.names[0])
        axes.grid(visible=False)
        figure.colorbar(image, label=f"interquartile mean\nof the {GREEDY_RETURN}s")
        figure.suptitle(wrapped(title))
    return figure


def _write_cells(axes: Axes, grid: _Grid, iqm: np.ndarray, middle: np.floating[Any]) -> None:
    """Write into each cell its numbers; below the middle of the scale cells are dark."""
    axes.set_facecolor("#dddddd")  # of those without a number
    for i, j in np.ndindex(*iqm.shape):
        dark = bool(np.isfinite(iqm[i, j]) and iqm[i, j] < middle)
        axes.text(
            j, i, _cell(grid.cells[i][j]), ha="center", va="center", fontsize="small",
            color="white" if dark else "black",
        )  # fmt: skip


def _grid(results: SweepResults, summaries: Sequence[Summary]) -> _Grid | None:
    """Arrange the settings by two fields; None unless each pair of values is there once."""
    if len(results.axes) != 2 or len(by_env(summaries)) > 1:
        return None
    first, second = results.axes
    cells = {
        (get_field(config, first), get_field(config, second)): i
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


def _ticks(values: Sequence[Any]) -> list[str]:
    return ["\n".join(textwrap.wrap(text.replace("x", " x "), 16)) for text in short_values(values)]
