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
        squares: sum of (V - G)^2.
        of_errors: sum of the squared differences of G - V from their mean.
        of_returns: the same of G.
    """

    num_steps: Array
    squares: Array
    of_errors: Array
    of_returns: Array

    @property
    def baseline_loss(self) -> Array:
        """The mean of (V - G)^2."""
        return self.squares / jnp.maximum(self.num_steps, 1)

    @property
    def explained_variance(self) -> Array:
        """1 - Var(G - V) / Var(G); 0 where the returns are constant."""
        number = jnp.maximum(self.num_steps, 1)
        error, total = self.of_errors / number, self.of_returns / number
        return jnp.where(total > 0, 1 - error / jnp.where(total > 0, total, 1.0), 0.0)


class Moments(NamedTuple):
    """Moments of x over some valid steps, taken about an origin.

    Attributes:
        origin: what is subtracted from x.
        total: of the differences.
        squares: of the differences from their mean.
    """

    origin: Array
    total: Array
    squares: Array


class BatchMoments(NamedTuple):
    """What the statistics of a batch follow from.

    Attributes:
        num_steps: number of valid steps.
        squares: sum of A^2 over them.
        advantages: moments of A about 0, or near it.
        returns: moments of G.
        about_one: moments of A about one of them; None where A is not normalized. In a constant
            batch every difference is then exactly 0, where a rounded mean would leave noise for the
            division to blow up.
    """

    num_steps: Array
    squares: Array
    advantages: Moments
    returns: Moments
    about_one: Moments | None


def batch_moments(
    advantages: Array, returns: Array, valid: Array, kind: AdvantageNorm
) -> BatchMoments:
    """Return the moments, (), of A and G [T, N] over the valid steps that are here."""
    zero, about_one = jnp.float32(0), None
    if kind != "none":
        origin = jnp.max(advantages, where=valid, initial=-jnp.inf)
        about_one = _moments(advantages, valid, origin)
    return BatchMoments(
        jnp.sum(valid),
        jnp.sum(advantages**2),
        _moments(advantages, valid, zero),
        _moments(returns, valid, zero),
        about_one,
    )


def _moments(x: Array, valid: Array, origin: Array) -> Moments:
    shifted = jnp.where(valid, x - origin, 0.0)
    total = jnp.sum(shifted)
    centered = jnp.where(valid, shifted - total / jnp.maximum(jnp.sum(valid), 1), 0.0)
    return Moments(origin, total, jnp.sum(centered**2))


def normalize(
    advantages: Array,
    valid: Array,
    kind: AdvantageNorm,
    moments: BatchMoments,
    axis: LaneAxis = ONE_DEVICE,
) -> tuple[Array, Statistics]:
    """Normalize advantages A = G - V over the valid steps.

    standardize: (A - mean) / standard deviation; unit: (A - mean) / sqrt(sum A^2), with the
    uncentered A in the sum, as the notebook has it; none: A. A constant batch gives zeros.

    Devices exchange their moments in one collective.

    Args:
        advantages: [T, N], A, 0 at invalid steps, and so is the result.
        valid: [T, N], bool.
        kind: one of "standardize", "unit", "none".
        moments: of the steps that are here.
        axis: the device axis the lanes are sharded over.
    """
    chex.assert_equal_shape([advantages, valid])
    counts, squares, *shards = axis.gather(moments)
    count, square = jnp.sum(counts), jnp.sum(squares)
    of_errors, of_returns, about_one = (m and merged(m, counts) for m in shards)
    statistics = Statistics(count, square, of_errors.squares, of_returns.squares)
    if about_one is None:
        return advantages, statistics
    number = jnp.maximum(count, 1)
    mean = about_one.total / number
    centered = jnp.where(valid, advantages - about_one.origin - mean, 0.0)
    scale = jnp.sqrt(about_one.squares / number if kind == "standardize" else square)
    return jnp.where(scale > 0, centered / jnp.where(scale > 0, scale, 1.0), 0.0), statistics


def merged(parts: Moments, counts: Array) -> Moments:
    """Return the moments of all parts' steps, (), from each part's [parts] and their number.

    (Chan, Golub and LeVeque, 1983, equation 2.1.)
    """
    # A part without valid steps has no origin.
    origin = jnp.max(parts.origin, where=counts > 0, initial=-jnp.inf)
    totals = jnp.where(counts > 0, parts.total + counts * (parts.origin - origin), 0.0)
    total = jnp.sum(totals)
    mean = total / jnp.maximum(jnp.sum(counts), 1)
    off = jnp.where(counts > 0, totals / jnp.maximum(counts, 1) - mean, 0.0)
    return Moments(origin, total, jnp.sum(parts.squares + counts * off**2))
