"""Memory: what compiled programs need, and what is free."""

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


def program_bytes(compiled: Any) -> int:
    """Return the most memory that a compiled program needs on each device, in bytes.

    That is arguments, results and temporaries; a result in a donated argument's memory counts once.
    """
    memory = compiled.memory_analysis()
    return int(
        memory.temp_size_in_bytes
        + memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
    )


def require_memory(needed: int, remedy: str) -> None:
    """Raise ValueError if `needed` bytes are not free on the devices of this process."""
    free = free_bytes()
    if needed > free:
        raise ValueError(
            f"does not fit: {needed / 1e9:,.1f} GB are needed and {free / 1e9:,.1f} GB are free;"
            f" {remedy}"
        )


def free_bytes() -> int:
    """Return the memory that is free on the devices of this process, in bytes."""
    stats = [device.memory_stats() for device in jax.local_devices()]
    if None in stats:  # CPUs
        import psutil

        return int(psutil.virtual_memory().available)
    return sum(int(device["bytes_limit"] - device["bytes_in_use"]) for device in stats)


def used_bytes() -> int:
    """Return the memory in use on the devices of this process; on a CPU, by the process."""
    stats = [device.memory_stats() for device in jax.local_devices()]
    if None in stats:
        import psutil

        return int(psutil.Process().memory_info().rss)
    return sum(int(device["bytes_in_use"]) for device in stats)


def batch_bytes(config: Config) -> tuple[int, int]:
    """Return the least memory that training takes, in bytes: once, and for each lane.

    That is parameters, optimizer states and gradients, and one batch with its targets.
    """
    few, state = few_lanes(config)
    fixed = 2 * tree_bytes((state.params, state.opt_state))  # and as much again while they change
    trajectory = trajectory_shapes(few)
    num_steps = steps_per_update(config, environment.make(config.env, config.env_params))
    return fixed, tree_bytes(trajectory) // few.num_envs + _TARGET_BYTES_PER_STEP * num_steps


def few_lanes(config: Config) -> tuple[Config, TrainState]:
    """Return the shapes of a state with two lanes, or one: everything is linear in the lanes.

    Two lanes, because the leave-one-out baseline needs them.
    """
    few = dataclasses.replace(config, num_envs=min(config.num_envs, 2))
    return few, state_shapes(few)


def tree_bytes(shapes: Any) -> int:
    """Return the size of all arrays, or of their shapes, in a tree."""
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))


def state_bytes(config: Config) -> int:
    """Return the size of one agent's training state."""
    return tree_bytes(state_shapes(config))
