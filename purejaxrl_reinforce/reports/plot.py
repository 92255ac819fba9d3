"""Plot of the learning curves of run and sweep directories."""

from collections.abc import Sequence
from pathlib import Path

from purejaxrl_reinforce.config import LARGEST_SIZE
from purejaxrl_reinforce.output.files import new_file, write_output
from purejaxrl_reinforce.output.plots import save_figure
from purejaxrl_reinforce.reports.learning_curves import curves_figure
from purejaxrl_reinforce.runs.load import History, load_history
from purejaxrl_reinforce.sweeps.agents import load_sweep_histories
from purejaxrl_reinforce.sweeps.store import is_sweep


def plot_curves(sources: Sequence[Path], out: Path | None, x: str, smooth: int) -> Path:
    """Draw learning curves into a file and return its path.

    Args:
        sources: directories of runs and sweeps.
        out: new file that ends in .png or .svg. None: curves.png.
        x: see `learning_curves`.
        smooth: see `learning_curves`.

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
    with write_output(path) as unfinished:
        save_figure(figure, unfinished, path.suffix[1:].lower())
    return path


def _load(source: Path, x: str) -> list[History]:
    if not is_sweep(source):
        return [load_history(source)]
    if x == "seconds":
        raise ValueError(
            f"the agents of the sweep {source} have no seconds of their own;"
            " use --x env_steps or --x update"
        )
    return load_sweep_histories(source)
