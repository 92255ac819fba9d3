"""Memory estimates, checked before anything is allocated."""

import dataclasses
from typing import Any

import jax

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.reinforce import state_shapes, trajectory_shapes
from purejaxrl_reinforce.algorithm.rollout import steps_per_update
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config

# Beside the trajectory, learning keeps returns, values and advantages in float32.
_TARGET_BYTES_PER_STEP = 3 * 4


def require_batch_memory(config: Config) -> None:
    """Raise ValueError if this process's share of training takes more memory than is free.

    That is what `batch_bytes` counts, with an equal part of the lanes for each process.
    """
    fixed, per_lane = batch_bytes(config)
    num_processes = jax.process_count()
    needed, free = fixed + config.num_envs // num_processes * per_lane, free_bytes()
    if needed <= free:
        return
    # The compiled program takes about 1.5 times this lower bound: advise what leaves it room.
    lanes = int(0.6 * (free - fixed) / per_lane) * num_processes
    remedy = f"num_envs={lanes}" if lanes >= 2 else "smaller num_steps or hidden_sizes"
    raise ValueError(
        f"the batch does not fit: num_envs={config.num_envs} needs at least {needed / 1e9:,.1f} GB"
        f" and {free / 1e9:,.1f} GB are free; try {remedy}"
    )


def batch_bytes(config: Config) -> tuple[int, int]:
    """Return the least memory that training takes, in bytes: once, and for each lane.

    That is parameters, optimizer states and gradients, and one batch with its targets.
    """
    few, state = few_lanes(config)
    fixed = 2 * tree_bytes((state.params, state.opt_state))  # and as much again while they change
    trajectory = trajectory_shapes(few)
    num_steps = steps_per_update(config, environment.make(config.env, config.env_params))
    return fixed, tree_bytes(trajectory) // few.num_envs + _TARGET_BYTES_PER_STEP * num_steps


def require_memory(needed: int, remedy: str) -> None:
    """Raise ValueError if `needed` bytes are not free."""
    free = free_bytes()
    if needed > free:
        raise ValueError(
            f"does not fit: {needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free;"
            f" {remedy}"
        )


def evaluation_bytes(config: Config, num_episodes: int) -> int:
    """Return the least memory that playing `num_episodes` at once takes, in bytes."""
    few, state = few_lanes(config)
    per_lane = tree_bytes(state.lanes) // few.num_envs + 4 * sum(config.hidden_sizes)
    return num_episodes * per_lane


def free_bytes() -> int:
    """Return the memory that is free on the first device of this process, in bytes."""
    stats = jax.local_devices()[0].memory_stats()
    if stats is None:
        import psutil

        return int(psutil.virtual_memory().available)
    return int(stats["bytes_limit"] - stats["bytes_in_use"])


def used_bytes() -> int:
    """Return the memory in use on the devices of this process; on a CPU, by the process."""
    stats = [device.memory_stats() for device in jax.local_devices()]
    if None in stats:
        import psutil

        return int(psutil.Process().memory_info().rss)
    return sum(int(of_device["bytes_in_use"]) for of_device in stats)


def few_lanes(config: Config) -> tuple[Config, TrainState]:
    """Return the shapes of a state with two lanes, or one.

    Everything is linear in the lanes, and shapes of absurd sizes would overflow before they could
    be refused. Two lanes, because the leave-one-out baseline needs them.
    """
    few = dataclasses.replace(config, num_envs=min(config.num_envs, 2))
    return few, state_shapes(few)


def tree_bytes(shapes: Any) -> int:
    """Return the size of all arrays, or of their shapes, in a tree."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))


def state_bytes(config: Config) -> int:
    """Return the size of one agent's training state."""
    return tree_bytes(state_shapes(config))
