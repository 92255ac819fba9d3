"""Learning of a preset over many seeds: how many solve the task, and in how many steps.

    python benchmarks/presets.py cartpole --seeds 256

writes benchmarks/results/<preset>.json and <preset>.png and prints a table row. Seeds train one
after the other in one compiled program.
"""

import platform
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from harness import RESULTS, draw_quantiles, quantiles, run, save
from jax import Array
from matplotlib.figure import Figure

from purejaxrl_reinforce import Config, evaluate, preset, train
from purejaxrl_reinforce.algorithm.environments.environment import THRESHOLDS
from purejaxrl_reinforce.output.plots import styled
from purejaxrl_reinforce.presets import PRESETS


def train_seeds(config: Config, num_seeds: int) -> dict[str, np.ndarray]:
    """Train seeds 0, 1, ...; return [seeds, updates] curves and each one's greedy mean return."""

    def run(seed: Array) -> dict[str, Array]:
        state, metrics = train(config, jax.random.key(seed))
        key = jax.random.fold_in(jax.random.key(seed), 1)
        played = evaluate(config, state.params, key, num_episodes=100)
        return {
            "mean_return": metrics.mean_return,
            "num_steps": metrics.num_steps,
            "greedy_return": played.episode_return.mean(),
        }

    outcome = jax.jit(lambda seeds: jax.lax.map(run, seeds))(jnp.arange(num_seeds))
    return {name: np.asarray(x) for name, x in outcome.items()}


def summarize(outcome: dict[str, np.ndarray], threshold: float) -> dict[str, float]:
    """Return statistics over the seeds; one that never reached the threshold counts as infinite."""
    curves, greedy = outcome["mean_return"], outcome["greedy_return"]
    env_steps = outcome["num_steps"].astype(np.int64).cumsum(axis=1)
    solved = curves >= threshold
    first = np.where(solved.any(axis=1), solved.argmax(axis=1), -1)
    rows = np.arange(len(first))
    updates = np.where(first >= 0, first + 1.0, np.inf)
    steps = np.where(first >= 0, env_steps[rows, first], np.inf)
    after = [curve[i:].min() if i >= 0 else 0.0 for curve, i in zip(curves, first, strict=True)]
    return {
        "threshold": threshold,
        "seeds": len(curves),
        "seeds_solved_greedy": int((greedy >= threshold).sum()),
        "lowest_greedy_return": float(greedy.min()),
        "median_updates_to_threshold": float(np.median(updates)),
        "most_updates_to_threshold": float(updates.max()),
        "median_steps_to_threshold": float(np.median(steps)),
        "most_steps_to_threshold": float(steps.max()),
        "median_lowest_return_afterwards": float(np.median(after)),
        "lowest_return_afterwards": float(np.min(after)),
        "mean_return_of_last_50_updates": float(np.nanmean(curves[:, -50:])),
        "lowest_mean_return_of_last_10_updates": float(np.nanmean(curves[:, -10:], axis=1).min()),
        "mean_steps_of_a_run": float(env_steps[:, -1].mean()),
    }


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw the median over the seeds of each update's mean return, with bands."""
    figure = Figure(figsize=(7, 4.3))
    axes = figure.add_subplot()
    draw_quantiles(axes, result["curves"], result["threshold"])
    axes.set_title(f"{result['config']['env']}, preset {result['preset']}: {result['seeds']} seeds")
    figure.legend(loc="outside lower center", ncols=5)
    return figure


def main(
    name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="PRESET")] = "cartpole",
    seeds: int = 256,
    num_updates: int | None = None,
    results: Path = RESULTS,
) -> None:
    """Measure a preset.

    Args:
        name: which preset.
        seeds: how many seeds.
        num_updates: fewer updates than the preset's, to try the script.
        results: directory for the result.
    """
    config = preset(name)
    if num_updates is not None:
        config = config.replace(num_updates=num_updates)
    if config.env not in THRESHOLDS:
        raise ValueError(f"{config.env} has no threshold; there are {', '.join(THRESHOLDS)}")
    outcome = train_seeds(config, seeds)
    threshold = THRESHOLDS[config.env]
    summary = summarize(outcome, threshold)
    result = {
        "preset": name,
        "purpose": PRESETS[name].purpose,
        "config": asdict(config),
        "platform": f"{platform.machine()}, jax {jax.__version__} on {jax.default_backend()}",
        **summary,
        "curves": quantiles(outcome["mean_return"]),
    }
    save(results, name, result, draw(result))
    for key, value in result.items():
        if key not in ("config", "purpose", "curves"):
            print(f"{key:42} {value}")


if __name__ == "__main__":
    run(main)
