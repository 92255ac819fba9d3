"""Figure and table of all trainers: speed, and time to solve; medians over the seeds."""

import math
import statistics
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, NullFormatter

from purejaxrl_reinforce.execution.machine import machine_name
from purejaxrl_reinforce.figures.style import COLORS, styled

SOLVED = 475

Runs = list[dict[str, Any]]


def entries_of(result: dict[str, Any]) -> dict[str, Runs]:
    """Return the runs of each entry: a trainer with a network and, where it ran, a batch."""
    entries: dict[str, Runs] = {}
    for run in result["runs"]:
        batch = run.get("batch")
        size = f", {batch['num_envs']} x {batch['num_steps']}" if batch else ""
        entries.setdefault(f"{run['title']} ({run['network']}{size})", []).append(run)
    return entries


def times_to_solve(runs: Runs, name: str) -> list[float]:
    """Return when each run solved the task, in `name` of its `solved_at`; infinite: it did not."""
    return [run["solved_at"][name] if run.get("solved_at") else math.inf for run in runs]


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw environment steps per second, and seconds until solved: training alone, and from launch.

    The median of an entry is missing where half of its seeds did not solve the task.
    """
    entries = entries_of(result)
    figure = Figure(figsize=(10, 1.9 + 0.3 * len(entries)))
    speed, times = figure.subplots(1, 2, sharey=True)
    for i, runs in enumerate(entries.values()):
        color = COLORS[1] if runs[0]["peer"] == "ours" else COLORS[0]
        rates = [run["sps"] for run in runs if "error" not in run]
        if rates:
            _draw_row(speed, i, rates, color, _short(statistics.median(rates)))
        seconds = times_to_solve(runs, "seconds")
        solved = f"{sum(map(math.isfinite, seconds))} of {len(runs)}"
        _draw_row(times, i, seconds, color, "")
        total = statistics.median(times_to_solve(runs, "total_seconds"))
        if math.isfinite(total):
            times.scatter(total, i, s=40, marker="D", color="#AAAAAA")
        times.annotate(solved, (1, i), (4, 0), xycoords=("axes fraction", "data"),
                       textcoords="offset points", va="center", fontsize=8)  # fmt: skip
    speed.set_yticks(range(len(entries)), list(entries))
    speed.invert_yaxis()
    speed.set(title="environment steps per second", xscale="log")
    left, right = speed.get_xlim()
    speed.set_xlim(left, 3 * right)  # room for the numbers
    speed.xaxis.set_major_formatter(EngFormatter(sep=""))
    times.set(title=f"seconds until return {SOLVED}, and seeds that got there")
    if any(run.get("solved_at") for run in result["runs"]):
        times.set_xscale("log")
    times.xaxis.set_major_formatter("{x:g}")
    for axes in (speed, times):
        axes.xaxis.set_minor_formatter(NullFormatter())
    looks = {"median": COLORS[0], "median from launch, with imports and compilation": "#AAAAAA"}
    handles = [times.scatter([], [], s=40, marker="D", color=color) for color in looks.values()]
    handles.append(times.scatter([], [], s=14, alpha=0.7, color=COLORS[0]))
    figure.legend(handles, [*looks, "seed"], loc="outside lower center", ncols=3)
    figure.suptitle(f"CartPole-v1 on {machine_name(result['machine'])}: trainer (network, batch)")
    return figure


def _draw_row(axes: Axes, row: int, values: list[float], color: str, remark: str) -> None:
    """Draw a dot for each finite value, and their median with a remark."""
    finite, median = [x for x in values if math.isfinite(x)], statistics.median(values)
    axes.scatter(finite, [row] * len(finite), s=14, alpha=0.7, color=color)
    if math.isfinite(median):
        axes.scatter(median, row, s=40, marker="D", color=color)
        where = (max(finite), row)
        axes.annotate(remark, where, (8, 0), textcoords="offset points", va="center", fontsize=8)


def _short(number: float) -> str:
    """Return a number with three digits and k or M."""
    return EngFormatter(sep="")(float(f"{number:.3g}"))


def table(result: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, the columns and a row per entry: medians over the seeds."""
    columns = ["trainer (network, batch)", "algorithm", "solved", "seconds to solve, from launch"]
    columns += ["training alone", "steps to solve", "SPS", "times ours"]
    entries = entries_of(result)
    ours = {runs[0]["network"]: runs for runs in entries.values() if runs[0]["peer"] == "ours"}
    # Networks that we do not train have two layers at least, as our last one.
    other = next(reversed(ours.values()), [])
    rows = [
        _cells(name, runs, ours.get(runs[0]["network"], other)) for name, runs in entries.items()
    ]
    return "CartPole-v1: medians over seeds", columns, rows


def _cells(name: str, runs: Runs, ours: Runs) -> list[str]:
    seconds = times_to_solve(runs, "total_seconds")
    own = [x for x in seconds if math.isfinite(x)]
    solved = f"{len(own)} of {len(runs)}"
    done = [run for run in runs if "error" not in run]
    if not done:
        return [name, "failed", solved, *[""] * 5]
    # Of the seeds that solved the task: whoever fails to is not slow but unable.
    theirs = [x for x in times_to_solve(ours, "total_seconds") if math.isfinite(x)]
    has_ratio = theirs and math.isfinite(statistics.median(seconds))
    return [
        name,
        done[0]["algorithm"],
        solved,
        _median(seconds, ".1f"),
        _median(times_to_solve(runs, "seconds"), ".2f"),
        _median(times_to_solve(runs, "env_steps"), ",.0f"),
        _median([run["sps"] for run in done], ",.0f"),
        f"{statistics.median(own) / statistics.median(theirs):.3g}" if has_ratio else "",
    ]


def _median(values: list[float], style: str) -> str:
    """Return a median, or nothing where half of the seeds did not reach it."""
    median = statistics.median(values)
    return format(median, style) if math.isfinite(median) else ""
