"""Pictures of a run and of its speed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure


def plot_returns(path: Path, title: str, returns: np.ndarray) -> None:
    """Draw episode return against update.

    Args:
        path: of the picture.
        title: of the picture.
        returns: [num_updates, 3], mean, lowest and highest return of each update's episodes.
    """
    updates = np.arange(1, len(returns) + 1)
    mean, lowest, highest = returns.reshape(-1, 3).T
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.fill_between(
        updates,
        lowest,
        highest,
        alpha=0.2,
        linewidth=0,
        label="lowest to highest of the update's episodes",
    )
    axes.plot(updates, mean, marker="." if len(returns) == 1 else None, label="their mean")
    axes.set(title=title, xlabel="update", ylabel="episode return")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=150)


def plot_bench(path: Path, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw the time of an update's phases, and the SPS of every training.

    Args:
        path: of the picture.
        title: of the picture.
        rows: of a report of `bench`: training first, then the phases.
    """
    training, *phases = rows
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    names = [row["name"] for row in phases]
    bars = left.barh(names, [1e3 * row["median"] for row in phases])
    left.bar_label(bars, [f"{1e3 * row['median']:,.3g}" for row in phases], padding=4)
    left.invert_yaxis()
    left.margins(x=0.15)  # room for the labels
    left.set(title="one update, halfway through training", xlabel="median milliseconds")
    left.grid(alpha=0.3, axis="x")
    left.set_axisbelow(True)
    sps = [training["valid_steps"] / seconds / 1e6 for seconds in training["samples"]]
    right.plot(range(1, len(sps) + 1), sps, "o", label="each training")
    right.axhline(training["sps"] / 1e6, linestyle="--", linewidth=0.8, label="median")
    right.set(title="training from scratch", xlabel="repeat", ylabel="million SPS")
    right.set_ylim(0, 1.15 * max(sps))
    right.set_xticks(range(1, len(sps) + 1))
    right.grid(alpha=0.3)
    right.legend(loc="lower right")
    figure.savefig(path, dpi=150)
