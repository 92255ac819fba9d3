"""Frame of the benchmark scripts: command line, result and figure."""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce.bench.result_file import timed_row, write_result
from purejaxrl_reinforce.bench.timing import Call, cold_caches, measure
from purejaxrl_reinforce.execution.jax_settings import use_all_cores
from purejaxrl_reinforce.execution.memory import program_bytes
from purejaxrl_reinforce.figures.style import COLORS, REFERENCE, TRAINING_RETURN, save_figure
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.output.text import print_table

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"


def run(main: Callable[..., None]) -> None:
    """Call a script's `main` with the options of the command line, on all cores.

    Bad input (a ValueError) ends the process with one line and exit code 2.
    """
    use_all_cores()
    try:
        tyro.cli(main)
    except ValueError as error:
        print("error:", *str(error).split(), file=sys.stderr)
        sys.exit(2)


class Table(NamedTuple):
    """A table as it is printed and stands in the documents, all cells as text."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def finish(
    results: Path,
    name: str,
    result: Mapping[str, Any],
    draw: Callable[[Any], Figure] | None,
    table: Callable[[Any], Table],
) -> None:
    """Write `name`.json and, if it is drawn, `name`.png into `results`; print the table."""
    write_result(results / f"{name}.json", result)
    if draw is not None:
        save_figure(draw(result), results / f"{name}.png")
    print_table(*table(result))


def is_current(path: Path, root: Path = ROOT) -> bool:
    """Return whether a kept result was measured with the package code of the checkout `root`."""
    commit = path.is_file() and parse_json(path.read_text()).get("commit")
    same = ["git", "-C", str(root), "diff", "--quiet", str(commit), "--", "purejaxrl_reinforce"]
    return bool(commit) and subprocess.run(same, stderr=subprocess.DEVNULL).returncode == 0


def measured_rows(
    calls: Mapping[str, tuple[Call, Mapping[str, Any]]], repeats: int
) -> list[dict[str, Any]]:
    """Time functions in turn; return a row of each, by name, with the facts beside it."""
    timings = measure({name: call for name, (call, _) in calls.items()}, repeats)
    return [timed_row(name, timings[name], **facts) for name, (_, facts) in calls.items()]


class Compiled(NamedTuple):
    """A function compiled ahead of time.

    Attributes:
        call: runs it; takes the arguments that are not static.
        seconds: of tracing and compiling, with cold caches.
        memory_bytes: of arguments, results and temporaries, on one device.
    """

    call: Callable[..., Any]
    seconds: float
    memory_bytes: int


def compile_apart(function: Callable[..., Any], *args: Any) -> Compiled:
    """Compile `function`, jitted or not, for these arguments, and measure that."""
    jitted: Any = function if hasattr(function, "lower") else jax.jit(function)
    with cold_caches():
        started = time.perf_counter()
        compiled = jitted.lower(*args).compile()
        seconds = time.perf_counter() - started
    return Compiled(compiled, seconds, program_bytes(compiled))


# Quantiles over seeds that curves are drawn from, and the shade of the band between each pair.
_QUANTILES = (0, 5, 25, 50, 75, 95, 100)
_BANDS = (("5% to 95% of the seeds", "#BFD9EB"), ("25% to 75%", "#6BA5CC"))


# Points of a curve that are kept.
_MOST_POINTS = 200


def quantiles(returns: np.ndarray) -> dict[str, list[float]]:
    """Return quantiles over the seeds of returns [seeds, updates], by percent.

    "update" numbers those updates that are kept: not those in which no episode of any seed ended,
    and of many evenly spread ones.
    """
    known = np.flatnonzero(np.isfinite(returns).any(axis=0))
    kept = known[np.unique(np.linspace(0, len(known) - 1, _MOST_POINTS).astype(int))]
    found = np.nanpercentile(returns[:, kept], _QUANTILES, axis=0).round(2)
    by_percent = {str(percent): x.tolist() for percent, x in zip(_QUANTILES, found, strict=True)}
    return {"update": (kept + 1).tolist(), **by_percent}


def draw_quantiles(axes: Axes, found: Mapping[str, list[float]], solved: float | None) -> None:
    """Draw quantiles of each update's training return: bands, the median, the threshold."""
    updates, label = found["update"], "lowest and highest seed"
    thin: Any = {"color": "#8FB8D6", "linestyle": "-", "marker": "", "linewidth": 0.6}
    axes.plot(updates, np.transpose([found["0"], found["100"]]), label=[label, ""], **thin)
    for i, (label, color) in enumerate(_BANDS, start=1):
        low, high = (found[str(_QUANTILES[at])] for at in (i, -1 - i))
        axes.fill_between(updates, low, high, color=color, linewidth=0, label=label)
    axes.plot(updates, found["50"], color=COLORS[0], linestyle="-", marker="", label="median seed")
    if solved is not None:
        axes.axhline(solved, label=f"solved: {solved:g}", **REFERENCE)
    axes.set(xlabel="update", ylabel=TRAINING_RETURN)
