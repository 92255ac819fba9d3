"""Figure of steps per second and time to solve of every entry, side by side."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce.output.colors import COLORS
from purejaxrl_reinforce.output.plots import styled


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw a dot per seed and a mark at the median, on logarithmic scales."""
    summary, runs, machine = result["summary"], result["runs"], result["machine"]
    figure = Figure(figsize=(11, 1.9 + 0.36 * len(summary)))
    speed, solving = figure.subplots(1, 2, sharey=True)
    speeds = [[r["sps"] for r in _of(runs, row)] for row in summary]
    times = [
        [r["solved_at"]["seconds"] for r in _of(runs, row) if r["solved_at"]] for row in summary
    ]
    failures = ["failed" if row["failed"] == row["runs"] else None for row in summary]
    unsolved = [failed or _fraction(row) for failed, row in zip(failures, summary, strict=True)]
    ours = [row["peer"] == "ours" for row in summary]
    _panel(speed, speeds, [_median(row, "sps") for row in summary], failures, ours)
    _panel(solving, times, [_median(row, "solved_seconds") for row in summary], unsolved, ours)
    speed.set(title="Speed: more is better", xlabel="environment steps per second")
    solving.set(title="Time to solve: less is better", xlabel="seconds until mean return 475")
    speed.set_yticks(range(len(summary)), [row["entry"] for row in summary])
    speed.invert_yaxis()
    for label, is_ours in zip(speed.get_yticklabels(), ours, strict=True):
        label.set_fontweight("bold" if is_ours else "normal")
    figure.suptitle(
        f"CartPole-v1 on {machine['cpu']}, {machine['cores']} cores\n"
        "diamonds: median over seeds; dots: seeds; compilation and imports apart"
    )
    return figure


def _of(runs: list[dict[str, Any]], row: dict[str, Any]) -> list[dict[str, Any]]:
    return [run for run in runs if run["entry"] == row["entry"] and "error" not in run]


def _median(row: dict[str, Any], name: str) -> float | None:
    return row.get(name, {}).get("median")


def _fraction(row: dict[str, Any]) -> str:
    return f"{row['solved']} of {row['runs']} solved"


def _panel(
    axes: Axes,
    values: list[list[float]],
    medians: list[float | None],
    remarks: list[str | None],
    ours: list[bool],
) -> None:
    """Draw a line of points per entry on a logarithmic scale, with its median and a remark."""
    everything = [x for group in values for x in group]
    low, high = (min(everything) / 2, max(everything)) if everything else (0.1, 10.0)
    axes.set_xscale("log")
    # Room on the right for the remarks, in decades.
    axes.set_xlim(low, high * (high / low) ** 0.35)
    for row, (group, median, remark) in enumerate(zip(values, medians, remarks, strict=True)):
        color = COLORS[1] if ours[row] else COLORS[0]
        axes.scatter(group, [row] * len(group), s=14, color=color, alpha=0.7)
        if median is not None:
            axes.scatter(median, row, s=45, marker="D", color=color)
        text = "   ".join(filter(None, (_short(median), remark)))
        end = max([*group, median or low])
        axes.annotate(text, (end, row), (8, 0), textcoords="offset points", va="center", fontsize=8)


def _short(value: float | None) -> str | None:
    if value is None:
        return None
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"
