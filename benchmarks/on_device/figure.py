"""A picture of a result of accelerator.py."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce.figures.style import REFERENCE, styled


@styled()
def draw(result: Mapping[str, Any]) -> Figure:
    """Draw SPS against lanes, the phases of an update, and the variants of its program."""
    machine, stages = result["machine"], result["stages"]
    figure = Figure(figsize=(14, 4.6))
    figure.suptitle(f"{machine['device_kind']}: CartPole-v1, commit {str(result['commit'])[:8]}")
    left, middle, right = figure.subplots(1, 3)
    _speed(left, _timed(stages, "sps"))
    _phases(middle, _timed(stages, "phases"))
    _variants(right, _timed(stages, "variants"))
    return figure


def _timed(stages: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = stages.get(name, {}).get("rows", [])
    return [row for row in rows if "samples" in row]


def _speed(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    by_lanes = [row for row in rows if row["case"].endswith(" lanes")]
    for name in dict.fromkeys(row["name"] for row in by_lanes):
        points = sorted((r["num_envs"], r["sps"]) for r in by_lanes if r["name"] == name)
        axes.loglog(*zip(*points, strict=True), label=name)
    axes.set(xlabel="lanes", ylabel="valid steps per second", title="speed")
    if by_lanes:
        axes.legend()


def _phases(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    cases = list(dict.fromkeys(row["case"] for row in rows))
    for case in cases:
        bottom = 0.0
        for i, name in enumerate(("rollout", "targets", "gradient", "optimizer")):
            height = sum(1e9 / r["sps"] for r in rows if (r["case"], r["name"]) == (case, name))
            label = name if case == cases[0] else None
            axes.bar(case, height, bottom=bottom, color=f"C{i}", label=label)
            bottom += height
    axes.set(ylabel="ns per valid step", title="phases of an update")
    axes.tick_params(axis="x", rotation=30)
    if cases:
        axes.legend()


def _variants(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    tried = [row for row in rows if "times default" in row and row["case"].startswith("tuning")]
    labels = [f"{row['case'].removeprefix('tuning, ')}: {row['name']}" for row in tried]
    axes.barh(labels, [row["times default"][0] for row in tried])
    axes.axvline(1, **REFERENCE)
    axes.set(xlabel="speed, times the default's", title="variants of the program")
    axes.tick_params(axis="y", labelsize=6)
