"""Figure of a benchmark of one configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from purejaxrl_reinforce.figures.style import COLORS, REFERENCE, Style, styled


def draw_bench(title: str, rows: Sequence[Mapping[str, Any]], style: Style = "screen") -> Figure:
    """Draw the time of an update's phases, and the SPS of every training.

    Args:
        title: of the figure.
        rows: of the result: training first, then the phases.
        style: of the figure.
    """
    training, *phases = rows
    with styled(style):
        wide = style == "screen"
        figure = Figure(figsize=(9, 3.8) if wide else None)
        if not wide:
            figure.set_figheight(1.5 * figure.get_figheight())
        figure.suptitle(title)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2)) if wide else figure.subplots(2)
        names = [row["name"] for row in phases]
        bars = left.barh(names, [1e3 * row["median"] for row in phases], color=COLORS[0])
        left.bar_label(bars, [f"{1e3 * row['median']:,.3g}" for row in phases], padding=4)
        left.invert_yaxis()
        left.margins(x=0.15)  # room for the labels
        left.set(title="one update, halfway through training", xlabel="median milliseconds")
        left.grid(visible=False, axis="y")
        sps = [training["valid_steps"] / seconds / 1e6 for seconds in training["samples"]]
        right.plot(range(1, len(sps) + 1), sps, linestyle="none", label="each training")
        right.axhline(training["sps"] / 1e6, label="median", **REFERENCE)
        right.set(title="training from scratch", xlabel="repeat", ylabel="million SPS")
        right.set_ylim(0, 1.15 * max(sps))
        right.set_xticks(range(1, len(sps) + 1))
        right.legend(loc="lower right")
    return figure
