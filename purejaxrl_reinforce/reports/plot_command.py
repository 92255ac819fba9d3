"""The verb `plot`: learning curves of runs and sweeps."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from purejaxrl_reinforce.config import LARGEST_SIZE
from purejaxrl_reinforce.curves import learning_curves
from purejaxrl_reinforce.histories import History, load_history
from purejaxrl_reinforce.outputs import new_file, whole_file
from purejaxrl_reinforce.plots import draw_curves, save_figure
from purejaxrl_reinforce.sources import is_sweep
from purejaxrl_reinforce.sweep_histories import load_sweep_histories

# Columns of the metrics, and what they are called below a picture.
X_LABELS = {
    "env_steps": "environment steps",
    "seconds": "seconds of training, compilation apart",
    "update": "update",
}


def plot(sources: Sequence[Path], out: Path | None, x: str, smooth: int) -> int:
    """Draw learning curves into a file and return 0.

    Args:
        sources: directories of runs and sweeps.
        out: new file that ends in .png or .svg. None: curves.png.
        x: what to draw over, one of X_LABELS.
        smooth: of how many updates each point is the mean.

    Raises:
        ValueError: the input is bad; nothing was written.
    """
    if not 1 <= smooth <= LARGEST_SIZE:
        raise ValueError(f"smooth must lie between 1 and {LARGEST_SIZE} updates, not {smooth}")
    if not sources:
        raise ValueError("give at least one RUN or SWEEP, the directory of a run or a sweep")
    path = new_file(out, Path("curves.png"), (".png", ".svg"))
    histories = [history for source in sources for history in _load(source, x)]
    figure = curves_figure(histories, x, smooth)
    with whole_file(path) as unfinished:
        save_figure(figure, unfinished, path.suffix[1:].lower())
    print(path)
    return 0


def _load(source: Path, x: str) -> list[History]:
    if not is_sweep(source):
        return [load_history(source)]
    if x == "seconds":
        raise ValueError(
            f"{source} is a sweep, which trains its agents together: none has seconds of its own;"
            " take --x env_steps or --x update"
        )
    return load_sweep_histories(source)


def curves_figure(
    histories: Sequence[History], x: str, smooth: int, narrow: bool = False
) -> Figure:
    """Return the picture of the learning curves of runs: see `plot` and `learning_curves`.

    Raises:
        ValueError: they cannot be drawn together.
    """
    envs = " and ".join(dict.fromkeys(history.config.env for history in histories))
    whose = f"seed {histories[0].seed}" if len(histories) == 1 else f"{len(histories):,} runs"
    ylabel = "episode return"
    if smooth > 1:
        ylabel += f"\n(mean of the last {smooth:,} updates)"
    curves, common = learning_curves(histories, x, smooth)
    title = f"{envs}: REINFORCE, {whose}"
    return draw_curves(title, X_LABELS[x], ylabel, curves, narrow, common)
