"""Figure and table of all entries: time to solve from launch."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from purejaxrl_reinforce.figures.style import COLORS, styled

SOLVED = 475


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw seconds from launch until solved, and the median of those of training alone in gray.

    The median of an entry is missing where half of its seeds did not solve the task.
    """
    rows, machine = result["summary"], result["machine"]
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(rows)))
    axes = figure.subplots()
    for i, row in enumerate(rows):
        runs = [run for run in result["runs"] if run["entry"] == row["entry"]]
        seconds = [run["solved_at"]["total_seconds"] for run in runs if run.get("solved_at")]
        median, training = (
            row[f"solved_{name}"]["median"] for name in ("total_seconds", "seconds")
        )
        color = COLORS[1] if row["peer"] == "ours" else COLORS[0]
        axes.scatter(seconds, [i] * len(seconds), s=14, alpha=0.7, color=color)
        remark = f"{row['solved']} of {row['runs']} solved"
        if median is not None:
            axes.scatter(training, i, s=45, marker="D", color="#AAAAAA")
            axes.scatter(median, i, s=45, marker="D", color=color)
            remark = f"{median:.3g} s   {remark}"
        where = (max(seconds, default=1.0), i)
        axes.annotate(remark, where, (8, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [row["entry"] for row in rows])
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
    return "CartPole-v1: medians over seeds", columns, [_cells(row) for row in result["summary"]]


def _cells(row: dict[str, Any]) -> list[str]:
    solved = f"{row['solved']} of {row['runs']}"
    if row["failed"] == row["runs"]:
        return [f"{row['title']} ({row['network']})", "failed", solved, *[""] * 5]
    batch, seconds = row["batch"], row["solved_total_seconds"]["median"]
    ratio = row["its_solving_time_over_ours"] if seconds is not None else None
    return [
        f"{row['title']} ({row['network']}, {batch['num_envs']} x {batch['num_steps']})",
        row["algorithm"],
        solved,
        _number(seconds, ".1f"),
        _number(row["solved_seconds"]["median"], ".2f"),
        _number(row["solved_env_steps"]["median"], ",.0f"),
        _number(row["sps"]["median"], ",.0f"),
        f"{ratio['of_medians']:.3g}" if ratio else "",
    ]


def _number(value: float | None, style: str) -> str:
    """Return a number, or nothing for a median that half of the seeds did not reach."""
    return "" if value is None else format(value, style)
