"""Figure of a benchmark of one configuration."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from purejaxrl_reinforce.output.plots import COLORS, NARROW


def draw_bench(title: str, rows: Sequence[Mapping[str, Any]], narrow: bool = False) -> Figure:
    """Draw the time of an update's phases, and the SPS of every training.

    Args:
        title: of the figure.
        rows: of the result: training first, then the phases.
        narrow: make a figure that is legible at the width of a phone.
    """
    training, *phases = rows
    figure = Figure(figsize=(NARROW, 6) if narrow else (9, 3.8), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, width_ratios=(3, 2))
    names = [row["name"] for row in phases]
    bars = left.barh(names, [1e3 * row["median"] for row in phases], color=COLORS[0])
    left.bar_label(bars, [f"{1e3 * row['median']:,.3g}" for row in phases], padding=4)
    left.invert_yaxis()
    left.margins(x=0.15)  # room for the labels
    left.set(title="one update, halfway through training", xlabel="median milliseconds")
    left.grid(alpha=0.3, axis="x")
    left.set_axisbelow(True)
    sps = [training["valid_steps"] / seconds / 1e6 for seconds in training["samples"]]
    right.plot(range(1, len(sps) + 1), sps, "o", color=COLORS[0], label="each training")
    right.axhline(training["sps"] / 1e6, linestyle="--", linewidth=0.8, label="median")
    right.set(title="training from scratch", xlabel="repeat", ylabel="million SPS")
    right.set_ylim(0, 1.15 * max(sps))
    right.set_xticks(range(1, len(sps) + 1))
    right.grid(alpha=0.3)
    right.legend(loc="lower right")
    return figure
