"""Learning of a preset over many seeds: what they reach, how many solve the task, and when.

    python benchmarks/presets.py pendulum

sweeps the seeds of a preset, writes benchmarks/results/<preset>.json and <preset>.png, and prints
what they say.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from harness import RESULTS, Table, draw_quantiles, finish, quantiles, run
from matplotlib.figure import Figure

from purejaxrl_reinforce import preset, sweep
from purejaxrl_reinforce.execution.machine import started_on
from purejaxrl_reinforce.figures.style import styled
from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.presets import PRESETS
from purejaxrl_reinforce.statistics import Interval, interquartile_mean_interval
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.summary import summarize
from purejaxrl_reinforce.tasks import threshold

# Of the updates, for the training return at the end, and how many at least: single ones may have
# few episodes, or none.
_LAST, _LEAST = 0.05, 10


def returns_of(results: SweepResults) -> dict[str, Any]:
    """Return what the seeds reach, greedily and, over the last updates, while they train."""
    (found,) = summarize(results)
    curves = results.metrics["mean_return"][0]
    last = np.nanmean(curves[:, -max(_LEAST, round(_LAST * curves.shape[1])) :], axis=1)
    env_steps = results.metrics["env_steps"][0, :, -1]
    return {
        "seeds": found.num_seeds,
        "greedy_return": _rounded(found.iqm),
        "lowest_greedy_return": found.worst,
        "training_return_at_the_end": _rounded(interquartile_mean_interval(last)),
        "lowest_training_return_at_the_end": float(last.min()),
        "mean_steps_of_a_run": float(env_steps.mean()),
    }


def _rounded(iqm: Interval) -> dict[str, float]:
    return {name: round(float(x), 4) for name, x in iqm._asdict().items()}


def solving(results: SweepResults, solved: float) -> dict[str, float]:
    """Return how many seeds solve the task, and after how many steps the median one first did.

    A seed that never did took infinitely long.
    """
    curves, env_steps = (results.metrics[name][0] for name in ("mean_return", "env_steps"))
    enough = curves >= solved
    first = np.take_along_axis(env_steps, enough.argmax(axis=1)[:, None], axis=1)[:, 0]
    steps = np.where(enough.any(axis=1), first, np.inf)
    return {
        "seeds_solved_greedy": int((results.scores[0] >= solved).sum()),
        "median_steps_to_threshold": float(np.median(steps)),
    }


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw the median over the seeds of each update's mean return, with bands."""
    figure = Figure(figsize=(7, 4.3))
    axes = figure.add_subplot()
    draw_quantiles(axes, result["curves"], result["threshold"])
    axes.set_title(
        f"{result['config']['env']}, preset {result['preset']}: {result['seeds']:,} seeds"
    )
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def kept_results(results: Path) -> list[dict[str, Any]]:
    """Return the results of all presets that were measured, in the order of the presets."""
    paths = [results / f"{name}.json" for name in PRESETS]
    return [parse_json(path.read_text()) for path in paths if path.is_file()]


def table_of(kept: Sequence[dict[str, Any]]) -> Table:
    """Return a row per result."""

    def interval(of: dict[str, float]) -> str:
        return f"{of['value']:.4g} ({of['low']:.4g} to {of['high']:.4g})"

    def cells(result: dict[str, Any]) -> list[str]:
        seeds, solved = result["seeds"], result.get("seeds_solved_greedy")
        return [
            f"`{result['preset']}`",
            interval(result["greedy_return"]),
            f"{result['lowest_greedy_return']:.4g}",
            f"{seeds:,}" if solved is None else f"{solved:,} of {seeds:,}",
            interval(result["training_return_at_the_end"]),
            f"{result['mean_steps_of_a_run'] / 1e6:.2f} million",
        ]

    columns = ["preset", "return", "worst seed", "seeds, or solved", "return in training"]
    return Table("presets", [*columns, "steps of a run"], list(map(cells, kept)))


def main(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PRESET")] = "cartpole",
    seeds: int = 64,
    num_updates: int | None = None,
    sweep_dir: Path | None = None,
    results: Path = RESULTS,
) -> None:
    """Measure a preset.

    Args:
        name: which preset.
        seeds: how many seeds.
        num_updates: fewer updates than the preset's, to try the script.
        sweep_dir: directory that keeps the sweep, which resumes there after an interruption.
        results: directory for the result.
    """
    config = preset(name)
    if num_updates is not None:
        config = config.replace(num_updates=num_updates)
    found = sweep(config, range(seeds), path=sweep_dir)
    solved = threshold(config)
    result = {
        "preset": name,
        "purpose": PRESETS[name].purpose,
        "config": asdict(config),
        **started_on(),
        "threshold": solved,
        **returns_of(found),
        **({} if solved is None else solving(found, solved)),
        "curves": quantiles(found.metrics["mean_return"][0]),
    }
    finish(results, name, result, draw, lambda result: table_of([result]))


if __name__ == "__main__":
    run(main)
