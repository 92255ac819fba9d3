"""Running statistics of observations and rewards, over the valid steps of all updates so far.

Observations are normalized by those of the updates before, since both losses must see what was
played with; rewards by those that include the current update.
"""

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.batching import LaneAxis
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.obs_normalizer import (
    VARIANCE_EPSILON,
    add_values,
    obs_moments,
    with_obs_moments,
)
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config

# Scaled rewards are clipped to this, or minus this.
LARGEST_REWARD = 10.0


def add_observations(params: Params, old: Params, trajectory: Trajectory, axis: LaneAxis) -> Params:
    """Return `params` with the moments of `old`, if it has any, and those of the trajectory.

    Args:
        params: new ones of both networks.
        old: those that the trajectory was played with.
        trajectory: of the update.
        axis: the device axis the lanes are sharded over.
    """
    moments = obs_moments(old.policy)
    if moments is None:
        return params
    obs = trajectory.obs.astype(jnp.float32)
    moments = add_values(moments, obs, trajectory.valid, axis)
    return Params(*(with_obs_moments(network, moments) for network in params))


def scale_rewards(
    config: Config, state: TrainState, trajectory: Trajectory, axis: LaneAxis
) -> tuple[Trajectory, TrainState]:
    """Return the trajectory with its rewards over the running deviation of the discounted return.

    The sum of an episode's rewards so far, each discounted by its age, stands for the return: it is
    known at each step, however long the episode. Returned with it: the state with new
    `reward_moments` and `reward_sums`.
    """
    if not config.normalize_rewards:
        return trajectory, state
    assert state.reward_moments is not None
    assert state.reward_sums is not None
    rewards = jnp.where(trajectory.valid, trajectory.reward, 0.0)
    done = trajectory.terminated | trajectory.truncated

    def advance(total: Array, row: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, valid, done = row
        total = jnp.where(valid, config.gamma * total + reward, total)
        return jnp.where(done, 0.0, total), total

    before = jnp.zeros_like(state.reward_sums) if config.reset_each_update else state.reward_sums
    sums, totals = jax.lax.scan(advance, before, (rewards, trajectory.valid, done))
    moments = add_values(state.reward_moments, totals, trajectory.valid, axis)
    scaled = rewards * jax.lax.rsqrt(moments.var + VARIANCE_EPSILON)
    clipped = jnp.clip(scaled, -LARGEST_REWARD, LARGEST_REWARD)
    new = state._replace(reward_moments=moments, reward_sums=sums)
    return trajectory._replace(reward=clipped), new
