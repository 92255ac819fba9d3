"""Returns, baselines that need no network, and the normalization of advantages.

Arrays are [T, N]: time steps by lanes. `valid` marks the steps that an episode really took; all
statistics are over those alone, on all devices that `axis` shards the lanes over.
"""

import chex
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.config import AdvantageNorm


def discounted_returns(
    rewards: Array, discounts: Array, traces: Array, next_values: Array, unroll: int = 1
) -> Array:
    """Return G_t = r_t + discount_t * [(1 - trace_t) V(s_{t+1}) + trace_t * G_{t+1}].

    This is the lambda-return of Sutton and Barto (2018), equation 12.18, with a trace of lambda
    where an episode goes on and 0 where it is cut. With a lambda of 1 it is the Monte-Carlo return,
    with 0 the one-step target. The last step is always a cut.

    Args:
        rewards: [T, ...], r_t.
        discounts: [T, ...], gamma, or 0 where the episode terminated.
        traces: [T, ...], lambda where step t + 1 belongs to the same episode, 0 where the episode
            was cut after step t.
        next_values: [T, ...], V(s_{t+1}) of the observation before any reset; 0 to not bootstrap.
        unroll: time steps in one round of the loop.

    Returns:
        [T, ...], float32.
    """
    chex.assert_equal_shape([rewards, discounts, traces, next_values])

    def previous(next_return: Array, step: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, discount, trace, next_value = step
        future = (1 - trace) * next_value + trace * next_return
        current = reward + discount * future
        return current, current

    steps = (rewards, discounts, traces, next_values)
    _, returns = jax.lax.scan(previous, next_values[-1], steps, reverse=True, unroll=unroll)
    return returns


def mean_baseline(returns: Array, valid: Array, axis: LaneAxis = ONE_DEVICE) -> Array:
    """Return the mean return of the valid lanes at each time step, [T, N]; 0 where none is.

    Time is that of the batch: in a `stream`, lanes stand at different points of their episodes.
    """
    count, total = _sums_over_lanes(returns, valid, axis)
    return jnp.broadcast_to(total / jnp.maximum(count, 1), returns.shape)


def leave_one_out_baseline(returns: Array, valid: Array, axis: LaneAxis = ONE_DEVICE) -> Array:
    """Return the mean return of the other valid lanes at each time step, [T, N].

    It does not depend on the lane's own action, so the policy gradient stays unbiased. A lane
    that is alone gets 0. (Kool, van Hoof and Welling, 2019, "Buy 4 REINFORCE Samples, Get a
    Baseline for Free!".)
    """
    count, total = _sums_over_lanes(returns, valid, axis)
    others = count - valid
    total_of_others = total - jnp.where(valid, returns, 0.0)
    return jnp.where(others > 0, total_of_others / jnp.maximum(others, 1), 0.0)


def _sums_over_lanes(returns: Array, valid: Array, axis: LaneAxis) -> tuple[Array, Array]:
    """Return the number of valid lanes and the sum of their returns at each time step, [T, 1]."""
    count = jnp.sum(valid, axis=1, keepdims=True)
    return axis.sum((count, jnp.sum(returns, axis=1, keepdims=True, where=valid)))


def normalize(
    advantages: Array, valid: Array, kind: AdvantageNorm, axis: LaneAxis = ONE_DEVICE
) -> Array:
    """Normalize advantages over the valid steps; invalid steps get 0.

    standardize: (A - mean) / standard deviation; unit: (A - mean) / sqrt(sum A^2), with the
    uncentered A in the sum, as the notebook has it; none: A. A constant batch gives zeros.

    Args:
        advantages: [T, N].
        valid: [T, N], bool.
        kind: one of "standardize", "unit", "none".
    """
    chex.assert_equal_shape([advantages, valid])
    advantages = jnp.where(valid, advantages, 0.0)
    if kind == "none":
        return advantages
    # Moments are taken about one of the advantages: in a constant batch every difference is then
    # exactly 0, where a rounded mean would leave noise for the division to blow up.
    origin = axis.max(jnp.max(advantages, where=valid, initial=-jnp.inf))
    shifted = jnp.where(valid, advantages - origin, 0.0)
    centered = jnp.where(valid, shifted - mean(shifted, valid, axis), 0.0)
    if kind == "standardize":
        scale = jnp.sqrt(mean(centered**2, valid, axis))
    else:
        scale = jnp.sqrt(axis.sum(jnp.sum(advantages**2)))
    return jnp.where(scale > 0, centered / jnp.where(scale > 0, scale, 1.0), 0.0)


def mean(x: Array, valid: Array, axis: LaneAxis = ONE_DEVICE) -> Array:
    """Return the mean of x [T, N] over the valid steps, (); 0 where there is none."""
    total, count = axis.sum((jnp.sum(x, where=valid), jnp.sum(valid)))
    return total / jnp.maximum(count, 1)


def explained_variance(
    returns: Array, values: Array, valid: Array, axis: LaneAxis = ONE_DEVICE
) -> Array:
    """Return 1 - Var(G - V) / Var(G) over the valid steps, (); 0 where the returns are constant."""

    def variance(x: Array) -> Array:
        return mean((x - mean(x, valid, axis)) ** 2, valid, axis)

    total = variance(returns)
    return jnp.where(
        total > 0, 1 - variance(returns - values) / jnp.where(total > 0, total, 1), 0.0
    )
