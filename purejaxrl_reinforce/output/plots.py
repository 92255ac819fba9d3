"""Plots of curves with bands."""

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

# Okabe and Ito's colors, which color-blind people can tell apart, without the yellow, which is
# hard to see on white; then again with other strokes.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_STROKES = ("-", "--", ":", "-.")
MOST_CURVES = len(COLORS) * len(_STROKES)
# Inches of a picture that a phone shows at about half its size.
NARROW = 5


class Curve(NamedTuple):
    """A line, and a band around it where `low` and `high` are there; every array is [n]."""

    label: str
    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None
    band_label: str | None = None


def draw_curves(
    title: str,
    xlabel: str,
    ylabel: str,
    curves: Sequence[Curve],
    narrow: bool = False,
    legend_title: str = "",
) -> Figure:
    """Draw lines with their bands and a legend below.

    Args:
        title: of the picture.
        xlabel: what the curves are drawn over.
        ylabel: what they show.
        curves: at least one, at most MOST_CURVES.
        narrow: make a picture whose letters can be read at the width of a phone.
        legend_title: what the legend says of all curves.
    """
    width = NARROW if narrow else 7
    letters = 45 if narrow else 70  # that a line of the legend has room for
    labels = [_wrapped(curve.label, letters) for curve in curves]
    legend_title = _wrapped(legend_title, letters)
    further = sum(label.count("\n") for label in labels) + len(legend_title.splitlines())
    height = 4 + 0.22 * (len(curves) - 1) + 0.2 * further
    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    for i, (curve, label) in enumerate(zip(curves, labels, strict=True)):
        _draw(axes, curve, label, COLORS[i % len(COLORS)], _STROKES[i // len(COLORS)])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title("\n".join(textwrap.wrap(title, 10 * width)))
    if any((curve.x >= 10_000).any() for curve in curves):
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.grid(alpha=0.3)
    columns = 2 if len(curves) == 1 and not narrow else 1
    figure.legend(loc="outside lower center", ncols=columns, title=legend_title)
    return figure


def _draw(axes: Axes, curve: Curve, label: str, color: str, stroke: str) -> None:
    marker = "." if len(curve.x) == 1 else None
    axes.plot(curve.x, curve.mean, stroke, color=color, marker=marker, label=label)
    if curve.low is not None and curve.high is not None:
        band: Any = {"color": color, "alpha": 0.2, "linewidth": 0, "label": curve.band_label}
        axes.fill_between(curve.x, curve.low, curve.high, **band)


def _wrapped(text: str, letters: int) -> str:
    return "\n".join(part for line in text.splitlines() for part in textwrap.wrap(line, letters))


def save_figure(figure: Figure, file: Path | IO[bytes], file_format: str = "png") -> None:
    """Write a figure to a path or an open file, as PNG or SVG."""
    figure.savefig(file, dpi=150, format=file_format)


def png_bytes(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file."""
    file = io.BytesIO()
    save_figure(figure, file)
    return file.getvalue()


def plot_returns(path: Path, title: str, returns: np.ndarray) -> None:
    """Draw episode return against update.

    Args:
        path: of the picture.
        title: of the picture.
        returns: [num_updates, 3], mean, lowest and highest return of each update's episodes.
    """
    updates = np.arange(1, len(returns) + 1)
    curve = returns_curve(updates, *returns.reshape(-1, 3).T)
    save_figure(draw_curves(title, "update", "episode return", [curve]), path)


def returns_curve(
    x: np.ndarray, mean: np.ndarray, lowest: np.ndarray, highest: np.ndarray
) -> Curve:
    """Return the curve of one run: the mean of each update's episodes, and how far they spread."""
    label, band_label = "mean of the update's episodes", "lowest to highest of them"
    return Curve(label, x, mean, lowest, highest, band_label)
