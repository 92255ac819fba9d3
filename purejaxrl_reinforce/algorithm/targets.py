"""What the losses aim at: returns, baseline values and advantages of a trajectory."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.blocks import live_blocks, map_blocks, split_rows
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.engine import engine
from purejaxrl_reinforce.lane_axis import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.losses import Params, zero_invalid
from purejaxrl_reinforce.networks import Networks
from purejaxrl_reinforce.returns import (
    discounted_returns,
    leave_one_out_baseline,
    mean_baseline,
    normalize,
)
from purejaxrl_reinforce.rollout import Trajectory


class Targets(NamedTuple):
    """What the losses aim at, [T, N]: returns G_t, the baseline's b_t, normalised advantages."""

    returns: Array
    values: Array
    advantages: Array


def make_targets(
    config: Config,
    networks: Networks,
    params: Params,
    trajectory: Trajectory,
    axis: LaneAxis = ONE_DEVICE,
) -> Targets:
    """Return returns, baseline values and normalised advantages of a trajectory, [T, N].

    A step is followed by another of its episode where the next row is valid and the step ended
    nothing; everywhere else the return is cut. Without `bootstrap`, nothing follows a cut.
    """
    valid = trajectory.valid
    next_valid = jnp.concatenate([valid[1:], jnp.zeros_like(valid[:1])])
    if config.bootstrap:
        assert trajectory.next_obs is not None
        some = valid if trajectory.next_obs.shape[0] > 1 else jnp.ones_like(valid[:1])
        next_values = values_of(config, networks, params, trajectory.next_obs, some)
    else:
        next_values = jnp.zeros_like(trajectory.reward)
    returns = discounted_returns(
        rewards=zero_invalid(trajectory.reward, valid),
        discounts=config.gamma * (1.0 - trajectory.terminated),
        traces=jnp.float32(next_valid & ~trajectory.truncated),
        next_values=jnp.broadcast_to(next_values, valid.shape),
    )
    returns = zero_invalid(returns, valid)
    match config.baseline:
        case "value":
            values = values_of(config, networks, params, trajectory.obs, valid)
        case "none":
            values = jnp.zeros_like(returns)
        case "mean":
            values = mean_baseline(returns, valid, axis)
        case "loo":
            values = leave_one_out_baseline(returns, valid, axis)
    advantages = normalize(returns - values, valid, config.advantage_norm, axis)
    return Targets(returns, values, advantages)


def values_of(
    config: Config, networks: Networks, params: Params, obs: Array, valid: Array
) -> Array:
    """Return V(s), [T, N], of observations [T, N, ...]; blocks without a valid step get 0."""
    blocks = split_rows((obs, valid), engine(config).block_rows)

    def values_of_block(block: tuple[Array, Array]) -> Array:
        return networks.values(params.baseline, zero_invalid(*block))

    values = map_blocks(values_of_block, blocks, live_blocks(blocks[1]))
    return values.reshape(-1)[: valid.size].reshape(valid.shape)
