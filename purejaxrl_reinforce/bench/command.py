"""The verb `bench`: measure, print, and leave a report with its picture."""

from pathlib import Path
from typing import Any

from purejaxrl_reinforce.bench import TRAINING, Workload, timed_rows, workload_facts
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.peaks import Peaks, measure_peaks
from purejaxrl_reinforce.plots import plot_bench
from purejaxrl_reinforce.report import make_report, new_report_path, print_table, write_report
from purejaxrl_reinforce.timing import measure

BENCHMARK = "bench"


def bench(config: Config, seed: int, repeats: int, out: Path | None) -> int:
    """Measure training and its phases; print a table and write a report and a picture; return 0.

    Raises:
        ValueError: the input is bad; nothing was written.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    path = new_report_path(out, config.env)
    workload = Workload(config, seed)
    timings = measure(workload.calls, repeats)
    facts = workload_facts(workload)  # before the peaks, whose arrays take memory too
    peaks = measure_peaks()
    rows = timed_rows(workload, timings, peaks)
    report = make_report(
        BENCHMARK, config, seed, rows, repeats=repeats, peaks=peaks._asdict(), **facts
    )
    write_report(path, report)
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
