"""Whether a batch fits into memory, asked before anything of it is allocated."""

import dataclasses

import jax
import psutil

from purejaxrl_reinforce import environment
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.reinforce import collect, init, steps_per_update

# Beside the trajectory, learning keeps returns, values and advantages in float32.
_TARGET_BYTES_PER_STEP = 3 * 4


def batch_bytes(config: Config) -> int:
    """Return the least memory that one update's batch takes, in bytes, without compiling."""
    # The trajectory is linear in the lanes; shapes of absurd sizes would overflow before they
    # could be refused. Two lanes, because the leave-one-out baseline needs them.
    few = dataclasses.replace(config, num_envs=min(config.num_envs, 2))
    state = jax.eval_shape(init, few, jax.eval_shape(lambda: jax.random.key(0)))
    trajectory = jax.eval_shape(collect, few, state)[2]
    recorded = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(trajectory)) // few.num_envs
    num_steps = steps_per_update(config, environment.make(config.env))
    return config.num_envs * (recorded + _TARGET_BYTES_PER_STEP * num_steps)


def free_bytes() -> int:
    """Return the memory that is free on the default device, in bytes."""
    stats = jax.devices()[0].memory_stats()
    if stats is None:
        return int(psutil.virtual_memory().available)
    return int(stats["bytes_limit"] - stats["bytes_in_use"])


def require_memory(config: Config, needed: int) -> None:
    """Raise ValueError if `needed` bytes for the batch of `config` are not free."""
    free = free_bytes()
    if needed > free:
        raise ValueError(
            f"the batch does not fit: num_envs={config.num_envs} needs at least"
            f" {needed / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are free;"
            f" try num_envs={max(1, int(config.num_envs * 0.8 * free / needed))}"
        )
