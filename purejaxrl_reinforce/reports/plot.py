"""Plot of the learning curves of run and sweep directories."""

from collections.abc import Sequence
from pathlib import Path

from purejaxrl_reinforce.config import LARGEST_SIZE
from purejaxrl_reinforce.output.files import new_file, write_output
from purejaxrl_reinforce.output.plots import Style, save_figure
from purejaxrl_reinforce.runs.load import History, load_history
from purejaxrl_reinforce.sweeps.learning_curves import by_config, curves_figure, setting_histories
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.store import is_sweep
from purejaxrl_reinforce.sweeps.summary import summarize


def plot_curves(
    sources: Sequence[Path], out: Path | None, x: str, smooth: int, style: Style = "screen"
) -> Path:
    """Draw learning curves into a file and return its path.

    Args:
        sources: directories of runs and sweeps.
        out: new file that ends in .png, .svg or .pdf. None: curves.png.
        x: see `learning_curves`.
        smooth: see `learning_curves`.
        style: of the figure.

    Raises:
        ValueError: the input is bad; nothing was written.
    """
    if not 1 <= smooth <= LARGEST_SIZE:
        raise ValueError(f"smooth must lie between 1 and {LARGEST_SIZE} updates, not {smooth}")
    if not sources:
        raise ValueError("give at least one RUN or SWEEP, the directory of a run or a sweep")
    path = new_file(out, Path("curves.png"), (".png", ".svg", ".pdf"))
    sweeps = [source for source in sources if is_sweep(source)]
    if twice := [sweep for i, sweep in enumerate(sweeps) if sweep in sweeps[:i]]:
        raise ValueError(f"{twice[0]} is given twice")
    groups = [group for sweep in sweeps for group in _load_sweep(sweep, x)]
    groups += by_config([load_history(source) for source in sources if source not in sweeps])
    figure = curves_figure(groups, x, smooth, style)
    with write_output(path) as unfinished:
        save_figure(figure, unfinished, path.suffix[1:].lower())
    return path


def _load_sweep(source: Path, x: str) -> list[list[History]]:
    """Return the histories of the settings, the best first."""
    if x == "seconds":
        raise ValueError(
            f"the agents of the sweep {source} have no seconds of their own;"
            " use --x env_steps or --x update"
        )
    results = load_sweep(source)
    return setting_histories(results, [s.setting for s in summarize(results)], source)
