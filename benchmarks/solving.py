"""Training until an environment is solved, seed after seed with one compiled program."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from compiled import compile_apart
from jax import Array

from purejaxrl_reinforce import Config, TrainState, init, step
from purejaxrl_reinforce.algorithm.environments.environment import THRESHOLDS
from purejaxrl_reinforce.bench.timing import no_compilation
from purejaxrl_reinforce.execution.sharding import (
    LANES,
    REPLICATED,
    STATE,
    lane_mesh,
    shard_lanes,
    shard_state,
)


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
    """Train seeds 0, 1, ...; return seconds, environment steps and updates of each, and compiling.

    All three are infinite for a seed that was not solved.
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
    columns = [list(column) for column in zip(*rows, strict=True)]
    return {
        **dict(zip(("seconds", "env_steps", "updates"), columns, strict=True)),
        "compile_seconds": program.seconds,
        "program_bytes": program.memory_bytes * mesh.size,
    }


def quartiles(values: list[float]) -> list[float]:
    """Return the quartiles, each one of the values: an infinite one cannot be interpolated."""
    return [float(x) for x in np.percentile(values, [25, 50, 75], method="inverted_cdf")]
