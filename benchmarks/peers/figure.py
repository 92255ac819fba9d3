"""Figure and table of all entries: time to solve from launch, medians over the seeds."""

import math
import statistics
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from purejaxrl_reinforce.figures.style import COLORS, styled

SOLVED = 475

Runs = list[dict[str, Any]]


def entries_of(result: dict[str, Any]) -> dict[str, Runs]:
    """Return the runs of each entry, a peer with a network and a batch."""
    entries: dict[str, Runs] = {}
    for run in result["runs"]:
        entries.setdefault(run["entry"], []).append(run)
    return entries


def times_to_solve(runs: Runs, name: str) -> list[float]:
    """Return when each run solved the task, in `name` of its `solved_at`; infinite: it did not."""
    return [run["solved_at"][name] if run.get("solved_at") else math.inf for run in runs]


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw seconds from launch until solved, and the median of those of training alone in gray.

    The median of an entry is missing where half of its seeds did not solve the task.
    """
    entries, machine = entries_of(result), result["machine"]
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(entries)))
    axes = figure.subplots()
    for i, runs in enumerate(entries.values()):
        all_seconds = times_to_solve(runs, "total_seconds")
        seconds = [x for x in all_seconds if math.isfinite(x)]
        median = statistics.median(all_seconds)
        color = COLORS[1] if runs[0]["peer"] == "ours" else COLORS[0]
        axes.scatter(seconds, [i] * len(seconds), s=14, alpha=0.7, color=color)
        remark = f"{len(seconds)} of {len(runs)} solved"
        if math.isfinite(median):
            training = statistics.median(times_to_solve(runs, "seconds"))
            axes.scatter(training, i, s=45, marker="D", color="#AAAAAA")
            axes.scatter(median, i, s=45, marker="D", color=color)
            remark = f"{median:.3g} s   {remark}"
        where = (max(seconds, default=1.0), i)
        axes.annotate(remark, where, (8, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(entries)), list(entries))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
    left, right = axes.get_xlim()
    axes.set_xlim(max(left, 0.01), max(right, 10.0) ** 1.6)  # room for the remarks
    axes.set(xlabel=f"seconds until the mean return of 100 episodes reaches {SOLVED}")
    figure.suptitle(
        f"Time to solve CartPole-v1 on {machine['cores']} cores of {machine['cpu']}\n"
        "imports, compilation and training together (gray: training alone)\n"
        "diamonds: median over seeds; dots: seeds"
    )
    return figure


def table(result: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, the columns and a row per entry: medians over the seeds."""
    columns = ["peer (network, batch)", "algorithm", "solved", "seconds to solve, all included"]
    columns += ["training alone", "steps to solve", "SPS", "times ours"]
    entries = entries_of(result)
    ours = {runs[0]["network"]: runs for runs in entries.values() if runs[0]["peer"] == "ours"}
    # Networks that we do not train have two layers at least, as our last one.
    other = next(reversed(ours.values()), [])
    rows = [_cells(runs, ours.get(runs[0]["network"], other)) for runs in entries.values()]
    return "CartPole-v1: medians over seeds", columns, rows


def _cells(runs: Runs, ours: Runs) -> list[str]:
    seconds = times_to_solve(runs, "total_seconds")
    own = [x for x in seconds if math.isfinite(x)]
    solved = f"{len(own)} of {len(runs)}"
    done = [run for run in runs if "error" not in run]
    if not done:
        return [f"{runs[0]['title']} ({runs[0]['network']})", "failed", solved, *[""] * 5]
    # Of the seeds that solved the task: whoever fails to is not slow but unable.
    theirs = [x for x in times_to_solve(ours, "total_seconds") if math.isfinite(x)]
    has_ratio = theirs and math.isfinite(statistics.median(seconds))
    batch = done[0]["batch"]
    return [
        f"{done[0]['title']} ({done[0]['network']}, {batch['num_envs']} x {batch['num_steps']})",
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
