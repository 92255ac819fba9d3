"""Plots of run and sweep directories: learning curves, and the other figures of a sweep."""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce.config import LARGEST_SIZE
from purejaxrl_reinforce.figures.curves import X_LABELS, Runs, learning_curves
from purejaxrl_reinforce.figures.style import Style
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.runs.saved_run import load_run
from purejaxrl_reinforce.sweeps import outputs, store
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.summary import rank, summarize
from purejaxrl_reinforce.tasks import grouped


def plot(
    *sources: StrPath,
    x: str = "env_steps",
    smooth: int = 1,
    style: Style = "screen",
    figure: str = "learning_curves",
    ax: Axes | None = None,
) -> Figure:
    """Draw the learning curves of runs and sweeps, or another figure of a sweep.

    Runs that differ only by seed are one curve, and so is each setting of a sweep.

    Args:
        sources: directories of runs and sweeps, or results of `train_run` and `sweep`.
        x: horizontal axis: env_steps, seconds (of training, of runs only) or update.
        smooth: updates of the trailing moving average.
        style: screen, phone or paper, which is as wide as a column.
        figure: learning_curves; of one sweep also evaluation_curves, final_returns,
            performance_profiles or heatmap.
        ax: matplotlib axes to draw learning curves of one environment into; None: a new figure.

    Returns:
        A matplotlib figure; `figure.savefig("curves.pdf")` writes it.

    Raises:
        ValueError: the input is bad.

    Example:
        >>> from purejaxrl_reinforce import plot
        >>> plot("runs/tiny", x="update").savefig("curves.png")
    """
    if not 1 <= smooth <= LARGEST_SIZE:
        raise ValueError(f"smooth must lie between 1 and {LARGEST_SIZE} updates, not {smooth}")
    if x not in X_LABELS:
        raise ValueError(f"x must be one of {', '.join(X_LABELS)}, not {x!r}")
    if style not in get_args(Style):
        raise ValueError(f"style must be one of {', '.join(get_args(Style))}, not {style!r}")
    if not sources:
        raise ValueError("give at least one RUN or SWEEP, the directory of a run or a sweep")
    paths = [Path(source) for source in sources]
    if figure != "learning_curves" and ax is not None:
        raise ValueError(f"ax is for learning_curves, not {figure}")
    if figure != "learning_curves":
        return _sweep_figure(paths, figure, style)
    sweeps = [path for path in paths if store.is_sweep(path)]
    groups = [group for sweep in sweeps for group in _settings(sweep, x)]
    groups += _runs([path for path in paths if path not in sweeps])
    return learning_curves(groups, x, smooth=smooth, style=style, ax=ax)


def _sweep_figure(paths: Sequence[Path], figure: str, style: Style) -> Figure:
    if len(paths) != 1 or not store.is_sweep(paths[0]):
        raise ValueError(f"the figure {figure} needs one SWEEP, the directory of a sweep")
    results = load_sweep(paths[0])
    figures = outputs.sweep_figures(results, rank(results), style)
    if figure not in figures:
        raise ValueError(f"{paths[0]} has no {figure}; there are {', '.join(figures)}")
    return figures[figure]


def _settings(sweep: Path, x: str) -> list[Runs]:
    """Return the runs of a sweep's settings, the best first."""
    if x == "seconds":
        raise ValueError(
            f"no seconds are recorded for the agents of the sweep {sweep};"
            " use `x` env_steps or update"
        )
    results = load_sweep(sweep)
    return outputs.setting_runs(results, [s.setting for s in summarize(results)], sweep.name)


def _runs(paths: Sequence[Path]) -> list[Runs]:
    """Return runs, grouped where they differ by their seeds only."""
    runs = [load_run(path) for path in paths]
    for one, *same in grouped(runs, lambda run: (run.config, run.seed)).values():
        if same:
            raise ValueError(
                f"{one.path} and {same[0].path} have the same configuration and seed:"
                " give only one of them"
            )
    return [
        Runs(config, [run.seed for run in group], [run.metrics for run in group],
             group[0].path.name)
        for config, group in grouped(runs, lambda run: run.config).items()
    ]  # fmt: skip
