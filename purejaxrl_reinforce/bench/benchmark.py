"""Benchmarks: of a configuration, training and its phases; of a standard workload, learning too."""

import signal
from typing import Any

from purejaxrl_reinforce.bench.agents import AgentsWorkload
from purejaxrl_reinforce.bench.energy import conditions, measure_energy
from purejaxrl_reinforce.bench.learning import (
    NO_SEED,
    Solve,
    dollars_per_solved_seed,
    energy_of_seeds,
    learning,
    make_solve,
)
from purejaxrl_reinforce.bench.result_file import FEWEST_FOR_INTERVAL, in_words, make_result
from purejaxrl_reinforce.bench.standard import Standard, standard
from purejaxrl_reinforce.bench.timing import FAILED, INTERRUPTED, measure, measure_peaks
from purejaxrl_reinforce.bench.workload import TRAINING, Workload, result_rows
from purejaxrl_reinforce.config import Config


def benchmark(config: Config | str, seed: int = 0, repeats: int = 6) -> dict[str, Any]:
    """Measure training from scratch and its phases, `repeats` times; write nothing.

    Args:
        config: a configuration, or the name of a standard workload, which has to learn, too.
        seed: of the training that is timed; of a workload, the first of its seeds.
        repeats: samples of each timing, interleaved.

    Returns:
        What the JSON of the verb `bench` holds: facts of the machine, and `rows`, of environment
        steps with random actions, of the training from scratch, and of the phases of an update,
        each with `median` (seconds), `interval` (of the median), `samples` and `sps`.

    Raises:
        ValueError: the input is bad, or training does not fit into memory or stay finite.

    Example:
        >>> from purejaxrl_reinforce import Config, benchmark
        >>> result = benchmark(Config(num_envs=4, num_steps=50, num_updates=3), repeats=2)
        >>> result["rows"][0]["sps"] > 0
        True
    """
    _require_repeats(repeats)
    if isinstance(config, str):
        return benchmark_standard(standard(config), seed, repeats)
    return _timed_result("bench", Workload(config, seed), seed, repeats)


def benchmark_standard(
    workload: Standard,
    seed: int = 0,
    repeats: int = 6,
    energy: bool = False,
    price_per_hour: float | None = None,
    first_seed: int | None = None,
) -> dict[str, Any]:
    """Measure a standard workload: rates, learning, fingerprint, and if asked for energy and costs.

    Args:
        workload: to measure.
        seed: of the training that is timed.
        repeats: samples of each timing.
        energy: whether to repeat the learning for a minute and read the energy counters.
        price_per_hour: of the machine, in dollars.
        first_seed: of those that learn; None: `seed`.
    """
    _require_repeats(repeats)
    first = seed if first_seed is None else first_seed
    solve: Solve
    if workload.num_agents > 1:
        agents = AgentsWorkload(workload, seed)
        solve, result = agents.solve, _timed_result(workload.name, agents, seed, repeats)
    else:  # compiled first: at Ctrl-C meanwhile, nothing measured would get lost
        one = Workload(workload.config, seed)
        solve, result = make_solve(workload), _timed_result(workload.name, one, seed, repeats)
    number = workload.num_seeds
    seeds = [NO_SEED] if exit_code(result) else solve(first, number)
    energy = energy and NO_SEED not in seeds
    return result | {
        "learning": learning(workload, first, seeds),
        "energy": energy_of_seeds(measure_energy, solve, first, number) if energy else None,
        "price_per_hour": price_per_hour,
        "dollars_per_solved_seed": dollars_per_solved_seed(seeds, price_per_hour),
    }


def _require_repeats(repeats: int) -> None:
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")


def _timed_result(
    name: str, workload: Workload | AgentsWorkload, seed: int, repeats: int
) -> dict[str, Any]:
    """Return the result of a workload's timed calls, and of the conditions before and after."""
    before = conditions()
    peaks, timings = measure_peaks(), measure(workload.calls, repeats)
    facts = workload.facts | {
        "repeats": repeats,
        "peaks": peaks._asdict(),
        "conditions": {"before": before, "after": conditions()},
    }
    rows = result_rows(workload.work, timings, peaks)
    return make_result(name, workload.config, seed, rows, **facts)


def exit_code(result: dict[str, Any]) -> int:
    """Return 0; 130 if the measurement of a result was interrupted, 1 if a part of it failed."""
    parts = [*result["rows"], result.get("learning", {}), result.get("energy") or {}]
    found = {status for part in parts for status in part.get("statuses", ())}
    return 128 + signal.SIGINT if INTERRUPTED in found else int(FAILED in found)


def result_table(result: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Return title, columns and rows of the table of a result."""
    interval = "95% interval" if result["repeats"] >= FEWEST_FOR_INTERVAL else "range"
    columns = ["", "median", interval, "ns per step", "SPS", "GFLOP/s", "of the roofline"]
    rows = [
        [
            row["name"],
            f"{1e3 * row['median']:,.3f} ms",
            "{:,.3f} to {:,.3f}".format(*(1e3 * x for x in row["interval"])),
            f"{1e9 / row['sps']:,.1f}",
            f"{row['sps']:,.0f}",
            f"{row['flops_per_second'] / 1e9:,.2f}",
            f"{row['roofline_share']:.1%}",
        ]
        for row in result["rows"]
    ]
    config = result["config"]
    name = "" if result["benchmark"] == "bench" else f"{result['benchmark']}: "
    title = f"{name}{config['env']}, {config['num_envs']:,} lanes, seed {result['seed']}"
    return title, columns, rows


def result_summary(result: dict[str, Any]) -> list[str]:
    """Return the figures of the whole training, and of learning, in a few lines."""
    training = next(row for row in result["rows"] if row["name"] == TRAINING)
    peaks = result["peaks"]
    return [
        f"{result['valid_steps']:,} valid steps in {result['slots']:,} slots;"
        f" compiled in {result['compile_seconds']:.1f} s",
        f"SPS {training['sps']:,.0f} (median), {training['sps_best']:,.0f} (best);"
        f" peaks: {peaks['matmul_flops'] / 1e9:,.0f} GFLOP/s,"
        f" {peaks['memory_bytes'] / 1e9:,.0f} GB/s",
        f"memory: {result['program_bytes'] / 1e6:,.1f} MB of the program,"
        f" {result['peak_process_bytes'] / 1e6:,.0f} MB of the process",
        *(_learned(result) if "learning" in result else [_returns(result)]),
        f"fingerprint: {result['fingerprint']['sha256'][:16]}",
        *(f"warning: {text}" for text in disturbed(result)),
    ]


def disturbed(result: dict[str, Any]) -> list[str]:
    """Say that more was running than this measurement."""
    load, cores = result["conditions"]["before"]["load"], result["machine"]["cores"]
    if load <= cores + 1:
        return []
    return [f"load {load:.1f} on {cores} cores: other processes disturb the times"]


def _returns(result: dict[str, Any]) -> str:
    solved = result["first_solved_update"]
    return (
        f"training return: {result['last_mean_return']:.1f} in the last update,"
        f" {result['best_mean_return']:.1f} in the best"
        + (f"; solved in update {solved}" if solved else "")
    )


def _learned(result: dict[str, Any]) -> list[str]:
    found, energy = result["learning"], result["energy"]
    seconds, steps = found["seconds_to_solve"], found["env_steps_to_solve"]
    dollars = result["dollars_per_solved_seed"]
    lines = [
        f"{sum(found['solved']):,} of {len(found['solved']):,} seeds reached {found['target']:g}:"
        f" median {in_words(seconds)} s and {in_words(steps)} steps"
    ]
    if energy == {"source": None}:
        lines.append("energy: not readable here (of a CPU often by root alone, of a GPU by NVML)")
    elif energy is not None and energy["source"]:
        lines.append(
            f"energy ({energy['source']}): {energy['joules_per_solved_seed']:,.3g} J per solved"
            f" seed, {energy['joules_per_billion_steps']:,.0f} J per billion steps"
        )
    if dollars is not None:
        lines.append(f"cost: {dollars:.3g} dollars per solved seed")
    return lines
