"""Benchmark of one configuration: training and its phases, measured."""

from typing import Any

from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.timing import measure, measure_peaks
from purejaxrl_reinforce.bench.workload import TRAINING, Workload, result_rows
from purejaxrl_reinforce.config import Config


def benchmark(config: Config, seed: int = 0, repeats: int = 5) -> dict[str, Any]:
    """Measure training from scratch and its phases, `repeats` times; write nothing.

    Returns:
        What the JSON of the verb `bench` holds: facts of the machine, and `rows`, of the training
        first and then its phases, each with `median` (seconds), `samples` and `sps`.

    Raises:
        ValueError: the input is bad, or training does not fit into memory or stay finite.

    Example:
        >>> from purejaxrl_reinforce import Config, benchmark
        >>> result = benchmark(Config(num_envs=4, num_steps=50, num_updates=3), repeats=2)
        >>> result["rows"][0]["sps"] > 0
        True
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    workload = Workload(config, seed)
    timings = measure(workload.calls, repeats)
    peaks = measure_peaks()
    rows = result_rows(workload, timings, peaks)
    facts = workload.facts | {"repeats": repeats, "peaks": peaks._asdict()}
    return make_result("bench", config, seed, rows, **facts)


def result_table(result: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Return title, columns and rows of the table of a result."""
    columns = ["", "median", "min", "ns per step", "SPS", "GFLOP/s", "of matmul peak"]
    rows = [
        [
            row["name"],
            f"{1e3 * row['median']:,.3f} ms",
            f"{1e3 * row['min']:,.3f} ms",
            f"{1e9 / row['sps']:,.1f}",
            f"{row['sps']:,.0f}",
            f"{row['flops_per_second'] / 1e9:,.2f}",
            f"{row['fraction_of_matmul_peak']:.1%}",
        ]
        for row in result["rows"]
    ]
    config = result["config"]
    title = f"{config['env']}, {config['num_envs']:,} lanes, seed {result['seed']}"
    return title, columns, rows


def result_summary(result: dict[str, Any]) -> list[str]:
    """Return the figures of the whole training in a few lines."""
    training = next(row for row in result["rows"] if row["name"] == TRAINING)
    peaks, solved = result["peaks"], result["first_solved_update"]
    return [
        f"{result['valid_steps']:,} valid steps in {result['slots']:,} slots;"
        f" compiled in {result['compile_seconds']:.1f} s",
        f"SPS {training['sps']:,.0f} (median), {training['sps_best']:,.0f} (best);"
        f" peaks: {peaks['matmul_flops'] / 1e9:,.0f} GFLOP/s,"
        f" {peaks['memory_bytes'] / 1e9:,.0f} GB/s",
        f"memory: {result['program_bytes'] / 1e6:,.1f} MB of the program,"
        f" {result['peak_process_bytes'] / 1e6:,.0f} MB of the process",
        f"training return: {result['last_mean_return']:.1f} in the last update,"
        f" {result['best_mean_return']:.1f} in the best"
        + (f"; solved in update {solved}" if solved else ""),
    ]
