"""The verb `plot`: learning curves of one or several runs."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from purejaxrl_reinforce.config import LARGEST_SIZE
from purejaxrl_reinforce.curves import learning_curves
from purejaxrl_reinforce.histories import History, load_history
from purejaxrl_reinforce.outputs import new_file, whole_file
from purejaxrl_reinforce.plots import draw_curves, save_figure

# Columns of the metrics, and what they are called below a picture.
X_LABELS = {
    "env_steps": "environment steps",
    "seconds": "seconds of training, compilation apart",
    "update": "update",
}


def plot(run_dirs: Sequence[Path], out: Path | None, x: str, smooth: int) -> int:
    """Draw learning curves into a file and return 0.

    Args:
        run_dirs: of the runs.
        out: new file that ends in .png or .svg. None: curves.png.
        x: what to draw over, one of X_LABELS.
        smooth: of how many updates each point is the mean.

    Raises:
        ValueError: the input is bad; nothing was written.
    """
    if not 1 <= smooth <= LARGEST_SIZE:
        raise ValueError(f"smooth must lie between 1 and {LARGEST_SIZE} updates, not {smooth}")
    if not run_dirs:
        raise ValueError("give at least one RUN, the directory of a training run")
    path = new_file(out, Path("curves.png"), (".png", ".svg"))
    figure = curves_figure([load_history(run_dir) for run_dir in run_dirs], x, smooth)
    with whole_file(path) as unfinished:
        save_figure(figure, unfinished, path.suffix[1:].lower())
    print(path)
    return 0


def curves_figure(
    histories: Sequence[History], x: str, smooth: int, narrow: bool = False
) -> Figure:
    """Return the picture of the learning curves of some runs: see `plot` and `draw_curves`.

    Raises:
        ValueError: they cannot be drawn together.
    """
    envs = " and ".join(dict.fromkeys(history.config.env for history in histories))
    whose = f"seed {histories[0].seed}" if len(histories) == 1 else f"{len(histories)} runs"
    ylabel = "episode return"
    if smooth > 1:
        ylabel += f"\n(mean of the last {smooth:,} updates)"
    curves = learning_curves(histories, x, smooth)
    return draw_curves(f"{envs}: REINFORCE, {whose}", X_LABELS[x], ylabel, curves, narrow)
