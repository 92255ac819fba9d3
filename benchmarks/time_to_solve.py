"""Time to solve an environment, in seconds and in environment steps.

    python benchmarks/time_to_solve.py

trains seed after seed with one compiled program that stops after the first update whose mean return
reaches the threshold (475 for CartPole-v1). A seed that does not get there within the preset's
updates counts as infinite in every quantile. Writes results/time_to_solve.json
and .png.
"""

from pathlib import Path
from typing import Any

import numpy as np
from harness import RESULTS, Table, finish, preset_variant, run
from matplotlib.figure import Figure
from solving import quartiles, run_seeds

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.algorithm.environments.environment import THRESHOLDS
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.figures.style import REFERENCE, styled


def make_solve_result(config: Config, preset_name: str, outcome: dict[str, Any]) -> dict[str, Any]:
    """Return the result of an outcome of `run_seeds`."""
    row = {
        "name": "seconds until solved",
        "quartiles": quartiles(outcome["seconds"]),
        "env_steps_quartiles": quartiles(outcome["env_steps"]),
        "updates_quartiles": quartiles(outcome["updates"]),
        "samples": outcome["seconds"],
        "env_steps": outcome["env_steps"],
        "updates": outcome["updates"],
    }
    return make_result(
        "time_to_solve",
        config,
        0,
        [row],
        preset=preset_name,
        threshold=THRESHOLDS[config.env],
        seeds=len(outcome["seconds"]),
        seeds_solved=int(np.isfinite(outcome["seconds"]).sum()),
        compile_seconds=outcome["compile_seconds"],
        program_bytes=outcome["program_bytes"],
    )


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw how many of the seeds are solved after so many seconds and environment steps."""
    (row,) = result["rows"]
    figure = Figure(figsize=(9, 3.8))
    figure.suptitle(_title(result))
    panels = zip(figure.subplots(1, 2), ("samples", "env_steps"), (1, 1e3), strict=True)
    for axes, name, unit in panels:
        values = np.sort(np.asarray(row[name], float)) / unit
        finite = values[np.isfinite(values)]
        share = np.arange(len(finite) + 1) / len(values)
        axes.step([0, *finite], share, where="post", marker="")
        median = quartiles(list(values))[1]
        if np.isfinite(median):
            axes.axvline(median, label=f"median {median:,.3g}", **REFERENCE)
            axes.legend(loc="upper left")
        axes.set(xlim=(0, None), ylim=(0, 1.05), ylabel="share of the seeds that are solved")
        axes.set_xlabel("seconds, compilation apart" if unit == 1 else "thousand environment steps")
    return figure


def _title(result: dict[str, Any]) -> str:
    config, seeds = result["config"], result["seeds"]
    solved = f"{result['seeds_solved']} of {seeds} seeds solved"
    return f"{config['env']}, {config['num_envs']:,} lanes: {solved}"


def table(result: dict[str, Any]) -> Table:
    """Return the quartiles over the seeds."""
    row = result["rows"][0]
    threshold = f"until mean return {THRESHOLDS[result['config']['env']]:g}"
    return Table(
        _title(result),
        [threshold, "lower quartile", "median", "upper quartile"],
        [
            ["seconds", *(f"{x:.3f}" for x in row["quartiles"])],
            ["environment steps", *(f"{x:,.0f}" for x in row["env_steps_quartiles"])],
            ["updates", *(f"{x:,.0f}" for x in row["updates_quartiles"])],
        ],
    )


def main(
    preset_name: str = "cartpole",
    lanes: int | None = None,
    seeds: int = 64,
    num_updates: int | None = None,
    results: Path = RESULTS,
) -> None:
    """Measure the time to solve.

    Args:
        preset_name: which preset.
        lanes: another number of lanes than the preset's.
        seeds: how many seeds.
        num_updates: another number of updates, after which a seed counts as unsolved.
        results: directory for the result.
    """
    config = preset_variant(preset_name, lanes, num_updates)
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, not {seeds}")
    if config.env not in THRESHOLDS:
        raise ValueError(f"{config.env} has no threshold; there are {', '.join(THRESHOLDS)}")
    outcome = run_seeds(config, seeds)
    result = make_solve_result(config, preset_name, outcome)
    finish(results, "time_to_solve", result, draw, table)


if __name__ == "__main__":
    run(main)
