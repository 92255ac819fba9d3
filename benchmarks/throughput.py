"""Throughput: valid environment steps per second against lanes and steps per episode.

    python benchmarks/throughput.py

trains the preset `cartpole` with every number of lanes, and with every limit of steps, from scratch
and times the phases of the update halfway, all in turn. Writes results/throughput.json and .png.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import RESULTS, Table, finish, run
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from purejaxrl_reinforce import Config, preset
from purejaxrl_reinforce.bench.peaks import measure_peaks
from purejaxrl_reinforce.bench.phases import PHASES
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.timing import measure
from purejaxrl_reinforce.bench.workload import TRAINING, Workload, result_rows, workload_facts
from purejaxrl_reinforce.figures.style import COLORS, styled


def measure_all(configs: Sequence[Config], seed: int, repeats: int) -> dict[str, Any]:
    """Return the result of all configurations, timed in turn."""
    workloads = {_name(config): Workload(config, seed) for config in configs}
    calls = {
        f"{name}: {part}": call
        for name, workload in workloads.items()
        for part, call in workload.calls.items()
    }
    timings = measure(calls, repeats)
    peaks = measure_peaks()
    rows = [
        {**row, "num_envs": workload.config.num_envs, "num_steps": workload.config.num_steps}
        for name, workload in workloads.items()
        for row in result_rows(workload, timings, peaks, prefix=f"{name}: ")
    ]
    facts = {name: workload_facts(workload) for name, workload in workloads.items()}
    return make_result(
        "throughput",
        configs[0],
        seed,
        rows,
        repeats=repeats,
        peaks=peaks._asdict(),
        workloads=facts,
    )


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw SPS against lanes, SPS against steps, and the phases against lanes."""
    by_name = {row["name"]: row for row in result["rows"]}
    lanes, steps = (
        sorted({row[field] for row in result["rows"]}) for field in ("num_envs", "num_steps")
    )
    figure = Figure(figsize=(12, 4.2))
    figure.suptitle("CartPole-v1: valid environment steps per second")
    left, middle, right = figure.subplots(1, 3)
    longest, fixed = max(steps), max(lanes)
    _plot_sps(left, by_name, {n: f"lanes={n} steps={longest}" for n in lanes})
    left.set(title=f"up to {longest} steps per episode", xlabel="lanes")
    _plot_sps(middle, by_name, {t: f"lanes={fixed} steps={t}" for t in steps})
    middle.set(title=f"{fixed:,} lanes", xlabel="most steps per episode")
    bottom = [0.0] * len(lanes)
    for phase, color, hatch in zip(PHASES, COLORS, ("", "//", "..", "xx"), strict=False):
        heights = [1e9 / by_name[f"lanes={n} steps={longest}: {phase}"]["sps"] for n in lanes]
        names, look = [f"{n:,}" for n in lanes], {"color": color, "hatch": hatch}
        right.bar(names, heights, bottom=bottom, label=phase, edgecolor="white", **look)
        bottom = [a + b for a, b in zip(bottom, heights, strict=True)]
    right.set(title="the update halfway, by phase", xlabel="lanes", ylabel="ns per valid step")
    right.grid(visible=False, axis="x")
    figure.legend(loc="outside lower center", ncols=6)
    return figure


def _plot_sps(axes: Axes, by_name: dict[str, Any], names: dict[int, str]) -> None:
    # Labeled in one of the panels only: the legend is the figure's.
    first = not axes.get_subplotspec().colspan.start
    parts = ((TRAINING, "training from scratch"), ("update", "the update halfway"))
    for part, label in parts:
        sps = [by_name[f"{name}: {part}"]["sps"] / 1e6 for name in names.values()]
        axes.plot(list(names), sps, label=label if first else None)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(names), [f"{x:,}" for x in names], minor=False)
    axes.set_ylabel("million SPS")
    axes.set_ylim(0, 1.1 * axes.get_ylim()[1])


def _name(config: Config) -> str:
    return f"lanes={config.num_envs} steps={config.num_steps}"


def table(result: dict[str, Any]) -> Table:
    """Return SPS from scratch and halfway, and the nanoseconds per step of each phase."""
    by_name = {row["name"]: row for row in result["rows"]}

    def cells(size: str) -> list[str]:
        training, update = (by_name[f"{size}: {part}"] for part in (TRAINING, "update"))
        return [
            f"{training['num_envs']:,} x {training['num_steps']}",
            *(f"{row['sps'] / 1e6:.2f} million" for row in (training, update)),
            *(f"{1e9 / by_name[f'{size}: {phase}']['sps']:,.1f}" for phase in PHASES),
            f"{update['fraction_of_matmul_peak']:.0%}",
        ]

    phases = [f"{phase}, ns" for phase in PHASES]
    return Table(
        "valid environment steps per second",
        ["lanes x steps", "from scratch, SPS", "halfway, SPS", *phases, "of product peak"],
        [cells(name.split(":")[0]) for name in by_name if name.endswith(TRAINING)],
    )


def main(
    lanes: tuple[int, ...] = (16, 64, 256, 1024, 4096),
    steps: tuple[int, ...] = (50, 100, 200, 500),
    num_updates: int = 30,
    seed: int = 0,
    repeats: int = 5,
    results: Path = RESULTS,
) -> None:
    """Measure throughput.

    Args:
        lanes: numbers of lanes, with the largest of `steps`.
        steps: limits of an episode's steps, with the largest of `lanes`.
        num_updates: of a training.
        seed: of all randomness.
        repeats: how often each thing is timed.
        results: directory for the result.
    """
    points = [(n, max(steps)) for n in lanes] + [(max(lanes), t) for t in steps]
    configs = [
        replace(preset("cartpole"), num_envs=n, num_steps=t, num_updates=num_updates)
        for n, t in dict.fromkeys(points)
    ]
    result = measure_all(configs, seed, repeats)
    finish(results, "throughput", result, draw, table)


if __name__ == "__main__":
    run(main)
