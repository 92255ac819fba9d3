"""Figure of steps per second and time to solve of every entry, side by side."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def draw(summary: list[dict[str, Any]], runs: list[dict[str, Any]], cpu: str) -> Figure:
    """Draw a bar to the median, a dot per seed, logarithmic scales."""
    figure = Figure(figsize=(11, 1.9 + 0.42 * len(summary)), layout="constrained")
    speed, solving = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(summary))
    speeds = [[r["sps"] for r in _of(runs, row)] for row in summary]
    times = [
        [r["solved_at"]["seconds"] for r in _of(runs, row) if r["solved_at"]] for row in summary
    ]
    failures = ["failed" if row["failed"] == row["runs"] else None for row in summary]
    unsolved = [failed or _fraction(row) for failed, row in zip(failures, summary, strict=True)]
    _panel(speed, speeds, [_median(row, "sps") for row in summary], failures)
    _panel(solving, times, [_median(row, "solved_seconds") for row in summary], unsolved)
    speed.set(title="Speed: more is better", xlabel="environment steps per second")
    solving.set(title="Time to solve: less is better", xlabel="seconds until mean return 475")
    speed.set_yticks(rows, [row["entry"] for row in summary])
    speed.invert_yaxis()
    for bar_row, row in enumerate(summary):
        if row["peer"] == "ours":
            speed.get_yticklabels()[bar_row].set_fontweight("bold")
    figure.suptitle(
        f"CartPole-v1 on {cpu}\nbars: median over seeds; dots: seeds; compilation and imports apart"
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
) -> None:
    """Draw one bar per entry on a logarithmic scale, with a remark at the right where given."""
    everything = [x for group in values for x in group]
    # A bar on a logarithmic scale starts somewhere: a decade below the least value.
    low, high = (min(everything) / 3, max(everything)) if everything else (0.1, 10.0)
    axes.set_xscale("log")
    # Room on the right for the remarks, in decades.
    axes.set_xlim(low, high * (high / low) ** 0.45)
    for row, (group, median, remark) in enumerate(zip(values, medians, remarks, strict=True)):
        if median is not None:
            axes.barh(row, median - low, left=low, color="C0", alpha=0.45, height=0.65)
        axes.scatter(group, [row] * len(group), s=14, color="C0", zorder=3)
        text = "   ".join(filter(None, (_short(median), remark)))
        end = max([*group, median or low])
        axes.annotate(text, (end, row), (6, 0), textcoords="offset points", va="center", fontsize=8)
    axes.grid(axis="x", alpha=0.3)


def _short(value: float | None) -> str | None:
    if value is None:
        return None
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if value >= factor:
            return f"{value / factor:.3g}{unit}"
    return f"{value:.3g}"
