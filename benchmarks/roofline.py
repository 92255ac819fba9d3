"""Speed of training and of each phase of an update, and how far they are from the roofline.

    python benchmarks/roofline.py

measures steps per second with each number of lanes and both networks, counts the floating-point
operations and bytes that each phase needs at least, measures the machine's peaks, and compares the
time of the phase with the least time that these allow. Writes results/roofline.json.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from harness import RESULTS, Table, finish, run
from peers.protocol import NETWORKS

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.timing import Peaks, measure, measure_peaks
from purejaxrl_reinforce.bench.workload import Workload, result_rows


def with_floor(row: dict[str, Any], peaks: Peaks) -> dict[str, Any]:
    """Add to a timed row its least seconds at the machine's peaks, and what bounds them."""
    compute, memory = row["flops"] / peaks.matmul_flops, row["bytes"] / peaks.memory_bytes
    floor = max(compute, memory)
    return {
        **row,
        "floor": floor,
        "bound": "compute" if compute >= memory else "memory",
        "times_floor": row["median"] / floor,
    }


def table(result: dict[str, Any]) -> Table:
    """Return the floor of each phase and how far it is from it."""

    def cells(row: dict[str, Any]) -> list[str]:
        steps = row["valid_steps"]
        return [
            row["name"],
            f"{row['sps'] / 1e6:.2f} million",
            f"{row['flops'] / steps:,.0f}",
            f"{row['bytes'] / steps:,.0f}",
            f"{1e9 * row['floor'] / steps:,.1f}",
            f"{1e9 * row['median'] / steps:,.1f}",
            f"{row['times_floor']:,.1f}",
            f"{row['fraction_of_matmul_peak']:.0%}",
            row["bound"],
        ]

    peaks = Peaks(**result["peaks"])
    title = f"{peaks.matmul_flops / 1e9:,.0f} GFLOP/s, {peaks.memory_bytes / 1e9:,.0f} GB/s"
    columns = ["", "SPS", "FLOP per step", "bytes per step", "floor, ns", "measured, ns"]
    return Table(
        f"{result['config']['env']}; peaks {title}",
        [*columns, "times floor", "of product peak", "bound by"],
        [cells(row) for row in result["rows"]],
    )


def main(
    lanes: tuple[int, ...] = (64, 256, 1024, 4096),
    num_updates: int = 100,
    seed: int = 0,
    repeats: int = 5,
    results: Path = RESULTS,
) -> None:
    """Measure the speed of training and of its phases, and their distance from the roofline.

    Args:
        lanes: numbers of lanes.
        num_updates: of a training; the phases are those of the update halfway.
        seed: of all randomness.
        repeats: how often each thing is timed.
        results: directory for the result.
    """
    peaks = measure_peaks()
    rows: list[dict[str, Any]] = []
    workloads = []
    for network, layers in NETWORKS.items():
        for num_envs in lanes:
            sizes: dict[str, Any] = {"num_envs": num_envs, "num_updates": num_updates}
            config = replace(preset("cartpole"), **sizes, **layers)
            workload, where = Workload(config, seed), {"network": network, "num_envs": num_envs}
            timings = measure(workload.calls, repeats)
            for row in result_rows(workload.work, timings, peaks):
                name = f"{network}, {num_envs:,} lanes, {row['name']}"
                rows.append(with_floor(row, peaks) | {**where, "name": name, "phase": row["name"]})
            workloads.append({**where, **workload.facts})
    facts = {"repeats": repeats, "peaks": peaks._asdict(), "workloads": workloads}
    finish(results, "roofline", make_result("roofline", config, seed, rows, **facts), None, table)


if __name__ == "__main__":
    run(main)
