"""The two losses and their gradients, accumulated over blocks of rows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from purejaxrl_reinforce.algorithm.batching import (
    ONE_DEVICE,
    LaneAxis,
    block_sizes,
    fold_blocks,
    live_blocks,
    map_blocks,
    split_rows,
)
from purejaxrl_reinforce.algorithm.networks import Networks, Params
from purejaxrl_reinforce.algorithm.returns import (
    discounted_returns,
    leave_one_out_baseline,
    mean_baseline,
    normalize,
)
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.config import Config


class Targets(NamedTuple):
    """What the losses aim at, [T, N]: returns G_t, the baseline's b_t, normalized advantages."""

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
    """Return returns, baseline values and normalized advantages of a trajectory, [T, N].

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
    blocks = split_rows((obs, valid), block_sizes(config).block_rows)

    def values_of_block(block: tuple[Array, Array]) -> Array:
        return networks.values(params.baseline, zero_invalid(*block))

    values = map_blocks(values_of_block, blocks, live_blocks(blocks[1]))
    return values.reshape(-1)[: valid.size].reshape(valid.shape)


class Batch(NamedTuple):
    """What the losses need of a trajectory, [T, N, ...]."""

    obs: Array
    action: Array
    valid: Array
    advantages: Array
    returns: Array
    values: Array


class PolicyTerms(NamedTuple):
    """The policy's loss and, a part of it, its entropy (nats): means over the valid steps, ()."""

    loss: Array
    entropy: Array


def gradients(
    networks: Networks,
    params: Params,
    batch: Batch,
    entropy_coef: ArrayLike,
    block_rows: int,
    axis: LaneAxis = ONE_DEVICE,
) -> tuple[Params, PolicyTerms]:
    """Return the gradients of both losses, each with respect to its own network.

        policy:   -mean_valid(log pi(a_t|s_t) A_t) - entropy_coef * mean_valid(entropy)
        baseline:  mean_valid((V(s_t) - G_t)^2)

    Advantages and returns are constants, and so are the `values` in the batch, which are V(s_t) at
    `params` already. Only the activations of one block exist at a time.

    Args:
        networks: the modules.
        params: their parameters. A network whose parameters are None has no loss: 0.
        batch: what was played.
        entropy_coef: weight of the entropy.
        block_rows: most rows per block.
        axis: what the lanes are shared out over.
    """
    count = jnp.maximum(axis.sum(jnp.sum(batch.valid)), 1)

    def block_loss(params: Params, block: Batch) -> tuple[Array, PolicyTerms]:
        # Whatever stands in an invalid row, even a NaN, must reach neither the loss nor, through a
        # product with 0, its derivative.
        obs, action = (zero_invalid(x, block.valid) for x in (block.obs, block.action))
        block = block._replace(obs=obs, action=action)
        policy = _policy_terms(networks, params.policy, block, entropy_coef, count)
        return policy.loss + _baseline_slope(networks, params.baseline, block) / count, policy

    def add_block(total: tuple[Params, PolicyTerms], block: Batch) -> tuple[Params, PolicyTerms]:
        return jax.tree.map(jnp.add, total, jax.grad(block_loss, has_aux=True)(params, block))

    zeros = jax.tree.map(jnp.zeros_like, params), PolicyTerms(*jnp.zeros(2))
    blocks = split_rows(batch, block_rows)
    return axis.sum(fold_blocks(add_block, zeros, blocks, live_blocks(blocks.valid)))


def _policy_terms(
    networks: Networks, params: Any, block: Batch, entropy_coef: ArrayLike, count: Array
) -> PolicyTerms:
    if params is None:
        return PolicyTerms(jnp.float32(0), jnp.float32(0))
    distribution = networks.distribution(params, block.obs)
    entropy = jnp.sum(distribution.entropy(), where=block.valid) / count
    gains = distribution.log_prob(block.action) * block.advantages
    return PolicyTerms(-jnp.sum(gains, where=block.valid) / count - entropy_coef * entropy, entropy)


def _baseline_slope(networks: Networks, params: Any, block: Batch) -> Array:
    """Return what has the derivative of the summed (V(s_t) - G_t)^2 with respect to `params`.

    With V(s_t) known, the derivative takes the network's hidden layers, but not its output.
    """
    if params is None:
        return jnp.float32(0)
    slope = 2 * (block.values - block.returns)
    return jnp.sum(slope * networks.values(params, block.obs), where=block.valid)


def zero_invalid(x: Array, valid: Array) -> Array:
    """Return `x` [..., *shape] with zeros where `valid` [...] is false."""
    return jnp.where(valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim)), x, 0)
