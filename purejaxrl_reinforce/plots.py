"""Pictures of a run."""

from pathlib import Path

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
