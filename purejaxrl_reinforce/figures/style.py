"""The style of all pictures, and curves with bands."""

import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Literal, NamedTuple, cast

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import EngFormatter, MaxNLocator

from purejaxrl_reinforce.output.files import MARK

Style = Literal["screen", "phone", "paper"]

# One name for each kind of return: on axes, in tables and in texts.
TRAINING_RETURN, GREEDY_RETURN = "training return", "greedy return"

# Okabe and Ito's colors, which color-blind people can tell apart, without the yellow, which is
# hard to see on white.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
# Curves differ by marker and line style as well as by color.
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STROKES = ("-", "--", ":", "-.")
MOST_CURVES = len(COLORS) * len(STROKES)

# From so many seeds on, a curve has a band, the 95% interval; with fewer it would fill the axes.
BAND_SEEDS = 10

# A threshold, or whatever else curves are compared with.
REFERENCE: dict[str, Any] = {"color": "#444444", "linestyle": (0, (5, 3)), "linewidth": 1}

_STYLES = Path(__file__).with_name("styles")
_CYCLE = cycler(color=COLORS, marker=MARKERS) * len(STROKES) + cycler(linestyle=STROKES) * len(
    COLORS
)


class Curve(NamedTuple):
    """A line, with a band or thin lines around it.

    Attributes:
        label: in the legend.
        x: [n].
        y: [n].
        band: lower and upper end, [2, n].
        band_label: in the legend.
        thin: the values that the line summarizes, [k, n].
        is_line: else markers alone.
    """

    label: str
    x: np.ndarray
    y: np.ndarray
    band: np.ndarray | None = None
    band_label: str | None = None
    thin: np.ndarray | None = None
    is_line: bool = True


def styled(style: Style = "screen") -> Any:
    """Make figures in a style, in a context or in a function that this decorates."""
    settings: dict[Any, Any] = {"axes.prop_cycle": _CYCLE}
    for name in ("all", style):
        settings |= mpl.rc_params_from_file(
            _STYLES / f"{name}.mplstyle", use_default_template=False
        )
    return mpl.rc_context(settings)


def draw_curves(
    title: str,
    xlabel: str,
    ylabel: str,
    panels: Mapping[str, Sequence[Curve]],
    style: Style = "screen",
    legend_title: str = "",
    solved: Mapping[str, float] = MappingProxyType({}),
    ax: Axes | None = None,
) -> Figure:
    """Draw lines with their bands, and a legend below them that takes less than a third.

    Args:
        panels: curves of each panel by title, which is shown if there are several.
        legend_title: text for all curves.
        solved: the return from which it is solved, by title of the panel.
        ax: axes of a figure of the caller's, for the one panel, instead of a figure with a title.

    Raises:
        ValueError: a panel has more than MOST_CURVES, or there are several for `ax`.
    """
    for name, curves in panels.items():
        if len(curves) > MOST_CURVES:
            most = f"draw at most {MOST_CURVES}"
            raise ValueError(f"{len(curves):,} curves of {name} are too many; {most}")
    if ax is not None and len(panels) > 1:
        raise ValueError(f"ax takes one environment, not {' and '.join(panels)}")
    with styled(style):
        legends = [_legend(panels[name], legend_title, name in solved) for name in panels]
        if ax is not None:
            ((name, curves),) = panels.items()
            _draw_panel(ax, curves, legends[0], solved.get(name))
            ax.set(xlabel=xlabel, ylabel=ylabel)
            return cast(Figure, ax.figure)
        width, plain = mpl.rcParams["figure.figsize"]
        heights = [max(plain + legend["height"], 3.2 * legend["height"]) for legend in legends]
        figure = Figure(figsize=(width, sum(heights)))
        parts: Any = [figure]
        if len(panels) > 1:
            parts = figure.subfigures(len(panels), height_ratios=heights)
        for name, part, legend in zip(panels, parts, legends, strict=True):
            _draw_panel(part, panels[name], legend, solved.get(name))
            part.axes[0].set(xlabel=xlabel, ylabel=ylabel, title=name if len(panels) > 1 else "")
        figure.suptitle(wrapped(title))
    return figure


def _legend(curves: Sequence[Curve], title: str, has_threshold: bool) -> dict[str, Any]:
    """Return the labels of a legend, its columns and its height in inches."""
    title = wrapped(title, 1.1)
    labels = [wrapped(curve.label, 1.1) for curve in curves]
    if not has_threshold and labels == [""]:  # nothing else would be in the legend
        labels, title = [title], ""
    letters = 10 + max(len(line) for label in labels for line in (label or " ").splitlines())
    columns = max(1, min(len(labels), _line_letters(1.3) // letters))
    lines = sum(label.count("\n") + 1 for label in labels) // columns + 1
    height = (lines + len(title.splitlines())) * mpl.rcParams["font.size"] * 1.3 / 72
    return {"labels": labels, "ncols": columns, "title": title, "height": height}


def _draw_panel(
    part: Figure | SubFigure | Axes,
    curves: Sequence[Curve],
    legend: Mapping[str, Any],
    solved: float | None,
) -> None:
    axes = part if isinstance(part, Axes) else part.add_subplot()
    for i, (curve, label) in enumerate(zip(curves, legend["labels"], strict=True)):
        _draw_curve(axes, curve, label, i, len(curves))
    if solved is not None:
        axes.axhline(solved, label=f"solved: {solved:g}", **REFERENCE)
    x = np.concatenate([curve.x for curve in curves])
    if (x >= 10_000).any():
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    wide = mpl.rcParams["figure.figsize"][0] > 6
    whole = bool((x % 1 == 0).all())  # between updates there are no ticks
    axes.xaxis.set_major_locator(MaxNLocator(9 if wide else 6, steps=[1, 2, 5], integer=whole))
    columns = 3 if len(curves) == 1 and wide else legend["ncols"]
    place: Any = {} if part is axes else {"loc": "outside lower center", "ncols": columns}
    part.legend(title=legend["title"], title_fontsize="small", **place)


def _draw_curve(axes: Axes, curve: Curve, label: str, i: int, number: int) -> None:
    if not curve.is_line:
        axes.plot(curve.x, curve.y, label=label, linestyle="none")
        return
    # About eight markers, at other places than other curves' markers, and one at the end.
    n, every = len(curve.x), max(1, len(curve.x) // 8)
    marked = sorted({*range(i * every // number, n, every), *range(n)[-1:]})
    (line,) = axes.plot(curve.x, curve.y, label=label, markevery=marked)
    color = line.get_color()
    if curve.band is not None:
        alpha = min(0.2, max(0.06, 0.5 / number))  # many bands hide each other
        band: Any = {"color": color, "alpha": alpha, "linewidth": 0}
        axes.fill_between(curve.x, *curve.band, label=curve.band_label, **band)
    if curve.thin is not None:
        thin: Any = {"color": color, "linestyle": "-", "marker": "", "linewidth": 0.5}
        axes.plot(curve.x, curve.thin.T, alpha=0.5, zorder=1, **thin)


def _line_letters(share: float) -> int:
    """Return about how many letters fit into a share of a figure's width in this context."""
    return int(share * 100 * mpl.rcParams["figure.figsize"][0] / mpl.rcParams["font.size"])


def wrapped(text: str, share: float = 1.0) -> str:
    """Return text in lines that fit into a share of a figure's width in this context."""
    width, text = _line_letters(share), text.replace("$", r"\$")  # no formula
    return "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, width))


def save_figure(figure: Figure, file: Path | IO[bytes], file_format: str = "png") -> None:
    """Write a figure to a path or an open file, as PNG, SVG or PDF."""
    metadata = {"Software" if file_format == "png" else "Creator": MARK}
    with styled():
        figure.savefig(file, dpi="figure", format=file_format, metadata=metadata)


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    file = io.BytesIO()
    save_figure(figure, file)
    return file.getvalue()
