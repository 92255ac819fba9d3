"""Returns, baselines that need no network, and the normalization of advantages.

Arrays are [T, N]: time steps by lanes. `valid` marks the steps that an episode really took; all
statistics are over those alone, on all devices that `axis` shards the lanes over.
"""

from typing import NamedTuple

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
    count = jnp.sum(valid, axis=1, keepdims=True, dtype=jnp.float32)
    return axis.sum((count, jnp.sum(returns, axis=1, keepdims=True, where=valid)))


class Statistics(NamedTuple):
    """Statistics over the valid steps on all devices, each ().

    Attributes:
        num_steps: their number.
        baseline_loss: the mean of (V - G)^2.
        explained_variance: 1 - Var(G - V) / Var(G); 0 where the returns are constant.
    """

    num_steps: Array
    baseline_loss: Array
    explained_variance: Array


class _Moments(NamedTuple):
    """Moments of x over some valid steps, taken about an origin.

    Attributes:
        origin: what is subtracted from x.
        total: of the differences.
        squares: of the differences from their mean.
    """

    origin: Array
    total: Array
    squares: Array


def normalized_advantages(
    returns: Array, values: Array, valid: Array, kind: AdvantageNorm, axis: LaneAxis = ONE_DEVICE
) -> tuple[Array, Statistics]:
    """Normalize advantages A = G - V over the valid steps; invalid steps get 0.

    standardize: (A - mean) / standard deviation; unit: (A - mean) / sqrt(sum A^2), with the
    uncentered A in the sum, as the notebook has it; none: A. A constant batch gives zeros.

    Devices exchange their moments in one collective (Chan, Golub and LeVeque, 1983, equation 2.1).

    Args:
        returns: [T, N], G.
        values: [T, N], V.
        valid: [T, N], bool.
        kind: one of "standardize", "unit", "none".
    """
    chex.assert_equal_shape([returns, values, valid])
    advantages = jnp.where(valid, returns - values, 0.0)
    zero = jnp.float32(0)
    batches = [(advantages, zero), (returns, zero)]
    if kind != "none":
        # Moments are taken about one of the advantages: in a constant batch every difference is
        # then exactly 0, where a rounded mean would leave noise for the division to blow up.
        batches.append((advantages, jnp.max(advantages, where=valid, initial=-jnp.inf)))
    moments = [_moments(x, valid, origin) for x, origin in batches]
    local = jnp.sum(valid), jnp.sum(advantages**2), moments
    counts, squares, moments = axis.gather(local)
    count, square = jnp.sum(counts), jnp.sum(squares)
    (_, of_errors), (_, of_returns), *about_one = [_merged(m, counts) for m in moments]
    ratio = of_errors / jnp.where(of_returns > 0, of_returns, 1)
    statistics = Statistics(
        count, square / jnp.maximum(count, 1), jnp.where(of_returns > 0, 1 - ratio, 0.0)
    )
    if kind == "none":
        return advantages, statistics
    ((origin, mean), variance) = about_one[0]
    centered = jnp.where(valid, advantages - origin - mean, 0.0)
    scale = jnp.sqrt(variance if kind == "standardize" else square)
    return jnp.where(scale > 0, centered / jnp.where(scale > 0, scale, 1.0), 0.0), statistics


def _moments(x: Array, valid: Array, origin: Array) -> _Moments:
    shifted = jnp.where(valid, x - origin, 0.0)
    total = jnp.sum(shifted)
    centered = jnp.where(valid, shifted - total / jnp.maximum(jnp.sum(valid), 1), 0.0)
    return _Moments(origin, total, jnp.sum(centered**2))


def _merged(shards: _Moments, counts: Array) -> tuple[tuple[Array, Array], Array]:
    """Return origin, mean about it, and variance of all shards' steps, of each shard's [shards]."""
    number = jnp.maximum(jnp.sum(counts), 1)
    origin = jnp.max(shards.origin)
    # A shard without valid steps has no origin.
    totals = jnp.where(counts > 0, shards.total + counts * (shards.origin - origin), 0.0)
    mean = jnp.sum(totals) / number
    off = jnp.where(counts > 0, totals / jnp.maximum(counts, 1) - mean, 0.0)
    return (origin, mean), jnp.sum(shards.squares + counts * off**2) / number
