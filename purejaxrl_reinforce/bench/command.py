"""The verb `bench`: measure, print, and leave a report with its picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from purejaxrl_reinforce.bench.peaks import Peaks, measure_peaks
from purejaxrl_reinforce.bench.result_file import make_result, new_result_path, write_result
from purejaxrl_reinforce.bench.timing import measure
from purejaxrl_reinforce.bench.workload import TRAINING, Workload, result_rows, workload_facts
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.output.plots import _NARROW, COLORS, save_figure
from purejaxrl_reinforce.output.text import print_table

BENCHMARK = "bench"


def bench(config: Config, seed: int, repeats: int, out: Path | None) -> int:
    """Measure training and its phases; print a table and write a report and a picture; return 0.

    Raises:
        ValueError: the input is bad; nothing was written.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    path = new_result_path(out, config.env)
    workload = Workload(config, seed)
    timings = measure(workload.calls, repeats)
    facts = workload_facts(workload)  # before the peaks, whose arrays take memory too
    peaks = measure_peaks()
    rows = result_rows(workload, timings, peaks)
    report = make_result(
        BENCHMARK, config, seed, rows, repeats=repeats, peaks=peaks._asdict(), **facts
    )
    write_result(path, report)
    plot_bench(path.with_suffix(".png"), f"{config.env}, {config.num_envs:,} lanes", rows)
    print_table(f"{config.env}, {config.num_envs:,} lanes, seed {seed}", *_table(rows))
    _print_facts(facts, rows[0], peaks)
    print(f"{path}, {path.with_suffix('.png').name}")
    return 0


def _table(rows: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    columns = ["", "median", "min", "ns per step", "SPS", "GFLOP/s", "of matmul peak"]
    return columns, [
        [
            row["name"],
            f"{1e3 * row['median']:,.3f} ms",
            f"{1e3 * row['min']:,.3f} ms",
            f"{1e9 / row['sps']:,.1f}",
            f"{row['sps']:,.0f}",
            f"{row['flops_per_second'] / 1e9:,.2f}",
            f"{row['fraction_of_matmul_peak']:.1%}",
        ]
        for row in rows
    ]


def _print_facts(facts: dict[str, Any], training: dict[str, Any], peaks: Peaks) -> None:
    assert training["name"] == TRAINING
    print(
        f"{facts['valid_steps']:,} valid steps in {facts['slots']:,} slots;"
        f" compiled in {facts['compile_seconds']:.1f} s"
    )
    print(
        f"SPS {training['sps']:,.0f} (median), {training['sps_best']:,.0f} (best);"
        f" peaks: {peaks.matmul_flops / 1e9:,.0f} GFLOP/s, {peaks.memory_bytes / 1e9:,.0f} GB/s"
    )
    print(
        f"memory: {facts['program_bytes'] / 1e6:,.1f} MB of the program,"
        f" {facts['peak_process_bytes'] / 1e6:,.0f} MB of the process"
    )
    solved = facts["first_solved_update"]
    print(
        f"mean return: {facts['last_mean_return']:.1f} in the last update,"
        f" {facts['best_mean_return']:.1f} in the best"
        + (f"; solved in update {solved}" if solved else "")
    )


def plot_bench(path: Path, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Leave a picture of a report of `bench`: see `draw_bench`."""
    save_figure(draw_bench(title, rows), path)


def draw_bench(title: str, rows: Sequence[Mapping[str, Any]], narrow: bool = False) -> Figure:
    """Draw the time of an update's phases, and the SPS of every training.

    Args:
        title: of the picture.
        rows: of a report of `bench`: training first, then the phases.
        narrow: make a picture whose letters can be read at the width of a phone.
    """
    training, *phases = rows
    figure = Figure(figsize=(_NARROW, 6) if narrow else (9, 3.8), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(2, 1) if narrow else figure.subplots(1, 2, width_ratios=(3, 2))
    names = [row["name"] for row in phases]
    bars = left.barh(names, [1e3 * row["median"] for row in phases], color=COLORS[0])
    left.bar_label(bars, [f"{1e3 * row['median']:,.3g}" for row in phases], padding=4)
    left.invert_yaxis()
    left.margins(x=0.15)  # room for the labels
    left.set(title="one update, halfway through training", xlabel="median milliseconds")
    left.grid(alpha=0.3, axis="x")
    left.set_axisbelow(True)
    sps = [training["valid_steps"] / seconds / 1e6 for seconds in training["samples"]]
    right.plot(range(1, len(sps) + 1), sps, "o", color=COLORS[0], label="each training")
    right.axhline(training["sps"] / 1e6, linestyle="--", linewidth=0.8, label="median")
    right.set(title="training from scratch", xlabel="repeat", ylabel="million SPS")
    right.set_ylim(0, 1.15 * max(sps))
    right.set_xticks(range(1, len(sps) + 1))
    right.grid(alpha=0.3)
    right.legend(loc="lower right")
    return figure
