"""Time to solve CartPole-v1, in seconds and in environment steps.

    python benchmarks/time_to_solve.py

trains seed after seed with one compiled program that stops after the first update whose mean return
reaches 475. A seed that does not get there within its updates counts as infinite in every quantile.
Writes results/time_to_solve.json.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from harness import RESULTS, Table, compile_apart, finish, run
from jax import Array

from purejaxrl_reinforce import Config, TrainState, init, preset, step
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.timing import no_compilation
from purejaxrl_reinforce.execution.sharding import (
    LANES,
    REPLICATED,
    STATE,
    lane_mesh,
    shard_lanes,
    shard_state,
)
from purejaxrl_reinforce.tasks import THRESHOLDS

_QUARTILES = ("lower quartile", "median", "upper quartile")


def train_until(config: Config, state: TrainState, threshold: Array) -> tuple[TrainState, Array]:
    """Train until an update's mean return reaches `threshold`, or to the end, on sharded lanes.

    Returns:
        The state after that update, and its mean return.
    """

    def unsolved(carry: tuple[TrainState, Array, Array]) -> Array:
        state, mean_return, finite = carry
        return (state.update < config.num_updates) & ~(mean_return >= threshold) & finite

    def update(carry: tuple[TrainState, Array, Array]) -> tuple[TrainState, Array, Array]:
        state, metrics = step(config, carry[0], LANES)
        return state, metrics.mean_return, metrics.finite

    start = state, jnp.float32(jnp.nan), jnp.bool(True)
    state, mean_return, _ = jax.lax.while_loop(unsolved, update, start)
    return state, mean_return


def run_seeds(config: Config, seeds: int) -> dict[str, Any]:
    """Train seeds 0, 1, ...; return the row of the result, and facts beside it.

    Seconds, environment steps and updates are infinite for a seed that was not solved.
    """
    threshold = jnp.float32(THRESHOLDS[config.env])
    keys = [jax.random.key(seed) for seed in range(seeds)]
    mesh = lane_mesh(config.num_envs, jax.local_devices())
    sharded = shard_lanes(train_until, mesh, (REPLICATED, STATE, REPLICATED), (STATE, REPLICATED))
    program = compile_apart(sharded, config, shard_state(init(config, keys[0]), mesh), threshold)

    def solve(key: Array) -> tuple[TrainState, Array]:
        return program.call(config, shard_state(init(config, key), mesh), threshold)

    jax.block_until_ready(solve(keys[0]))
    outcomes = []
    with no_compilation():
        for key in keys:
            started = time.perf_counter()
            outcome = jax.block_until_ready(solve(key))
            outcomes.append((time.perf_counter() - started, outcome))
    rows = []
    for seconds, (state, mean_return) in outcomes:
        high, low = (int(x) for x in np.asarray(state.env_steps))
        solved = float(mean_return) >= float(threshold)
        rows.append((seconds, high * 2**32 + low, int(state.update)) if solved else (np.inf,) * 3)
    samples, env_steps, updates = (list(column) for column in zip(*rows, strict=True))
    row = {
        "name": "seconds until solved",
        "quartiles": quartiles(samples),
        "env_steps_quartiles": quartiles(env_steps),
        "updates_quartiles": quartiles(updates),
        "samples": samples,
        "env_steps": env_steps,
        "updates": updates,
    }
    return {
        "rows": [row],
        "threshold": float(threshold),
        "seeds": seeds,
        "seeds_solved": int(np.isfinite(samples).sum()),
        "compile_seconds": program.seconds,
        "program_bytes": program.memory_bytes * mesh.size,
    }


def quartiles(values: list[float]) -> list[float]:
    """Return the quartiles, each one of the values: an infinite one cannot be interpolated."""
    return [float(x) for x in np.percentile(values, [25, 50, 75], method="inverted_cdf")]


def table(result: dict[str, Any]) -> Table:
    """Return the quartiles over the seeds."""
    row = result["rows"][0]
    return Table(
        f"CartPole-v1: {result['seeds_solved']} of {result['seeds']} seeds solved",
        [f"until mean return {result['threshold']:g}", *_QUARTILES],
        [
            ["seconds", *(f"{x:.3f}" for x in row["quartiles"])],
            ["environment steps", *(f"{x:,.0f}" for x in row["env_steps_quartiles"])],
            ["updates", *(f"{x:,.0f}" for x in row["updates_quartiles"])],
        ],
    )


def main(
    lanes: int = 64,
    seeds: int = 64,
    num_updates: int = 100,
    results: Path = RESULTS,
) -> None:
    """Measure the time to solve.

    Args:
        lanes: number of lanes.
        seeds: how many seeds.
        num_updates: of a training, after which a seed counts as unsolved.
        results: directory for the result.
    """
    if seeds < 1:
        raise ValueError(f"seeds must be at least 1, not {seeds}")
    config = replace(preset("cartpole"), num_envs=lanes, num_updates=num_updates)
    found = run_seeds(config, seeds)
    result = make_result("time_to_solve", config, 0, found.pop("rows"), **found)
    finish(results, "time_to_solve", result, None, table)


if __name__ == "__main__":
    run(main)
