"""Returns, baselines that need no network, and the normalization of advantages.

Arrays are [T, N]: time steps by lanes. `valid` marks the steps that an episode really took; all
statistics are over those alone, on all devices that `axis` shards the lanes over.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.config import AdvantageNorm


def lambda_returns(
    rewards: Array, discounts: Array, lambdas: Array, next_values: Array, unroll: int = 1
) -> Array:
    """Return G_t = r_t + discount_t * [(1 - lambda_t) V(s_{t+1}) + lambda_t * G_{t+1}].

    This is the lambda-return of Sutton and Barto (2018), equation 12.18, with a lambda of 0 where
    an episode is cut. With 1 elsewhere it is the Monte-Carlo return, with 0 the one-step target.
    The last step is always a cut.

    Args: all [T, ...], as is the result, but for `unroll`, the time steps in a round of the loop.
        rewards: r_t.
        discounts: gamma, or 0 where the episode terminated.
        lambdas: lambda where step t + 1 belongs to the same episode, 0 where it was cut after t.
        next_values: V(s_{t+1}) of the observation before any reset; 0 to not bootstrap.
    """

    def previous(next_return: Array, step: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, discount, lambda_, next_value = step
        future = (1 - lambda_) * next_value + lambda_ * next_return
        current = reward + discount * future
        return current, current

    steps = (rewards, discounts, lambdas, next_values)
    _, returns = jax.lax.scan(previous, next_values[-1], steps, reverse=True, unroll=unroll)
    return returns


def mean_baseline(returns: Array, valid: Array, axis: LaneAxis = ONE_DEVICE) -> Array:
    """Return the mean return of the valid lanes at each time step, [T, N]; 0 where none is.

    Time counts steps of the batch: in a `stream`, lanes are at different points of their episodes.
    The lane's own return is in the mean, so the expected gradient is 1 - 1/N of the true one.
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


# The baselines that follow from the returns alone.
BASELINES = {"mean": mean_baseline, "loo": leave_one_out_baseline}


class Moments(NamedTuple):
    """Sums over some valid steps: of x - origin, and of its squared differences from their mean.

    The origin is 0 or, where x is normalized, one of the x: in a constant batch every difference is
    then exactly 0, where a rounded mean would leave noise for the division to blow up.
    """

    origin: Array
    total: Array
    squares: Array


class BatchStatistics(NamedTuple):
    """Number of valid steps on all devices, sum of (G - V)^2, moments of G - V and of G; all ()."""

    num_steps: Array
    squares: Array
    advantages: Moments
    returns: Moments

    @property
    def baseline_loss(self) -> Array:
        """The mean of (V - G)^2."""
        return self.squares / jnp.maximum(self.num_steps, 1)

    @property
    def explained_variance(self) -> Array:
        """1 - Var(G - V) / Var(G); 0 where the returns are constant."""
        error, total = self.advantages.squares, self.returns.squares
        return jnp.where(total > 0, 1 - error / jnp.where(total > 0, total, 1.0), 0.0)


def batch_statistics(
    advantages: Array,
    returns: Array,
    valid: Array,
    kind: AdvantageNorm,
    axis: LaneAxis = ONE_DEVICE,
) -> BatchStatistics:
    """Return the statistics of a batch; devices exchange theirs in one collective.

    Advantages A = G - V, 0 at invalid steps, returns G and `valid` are [T, N]; `kind` is how
    advantages are normalized.
    """
    zero = jnp.float32(0)
    # The maximum takes longer than the other sums of a small batch.
    origin = zero if kind == "none" else jnp.max(advantages, where=valid, initial=-jnp.inf)
    moments = _moments(advantages, valid, origin), _moments(returns, valid, zero)
    here = BatchStatistics(jnp.sum(valid), jnp.sum(advantages**2), *moments)
    counts, squares, *moments = axis.gather(here)
    merged = (_merged(x, counts) for x in moments)
    return BatchStatistics(jnp.sum(counts), jnp.sum(squares), *merged)


def _moments(x: Array, valid: Array, origin: Array) -> Moments:
    shifted = jnp.where(valid, x - origin, 0.0)
    total = jnp.sum(shifted)
    centered = jnp.where(valid, shifted - total / jnp.maximum(jnp.sum(valid), 1), 0.0)
    return Moments(origin, total, jnp.sum(centered**2))


def _merged(parts: Moments, counts: Array) -> Moments:
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


# Divisors of centered advantages.
_SCALES = {
    "standardize": lambda x: jnp.sqrt(x.advantages.squares / jnp.maximum(x.num_steps, 1)),
    "unit": lambda x: jnp.sqrt(x.squares),
}


def normalize(
    advantages: Array, valid: Array, kind: AdvantageNorm, statistics: BatchStatistics
) -> Array:
    """Normalize advantages A = G - V, [T, N], over the valid steps; at the others they are 0.

    standardize: (A - mean) / standard deviation; unit: (A - mean) / sqrt(sum A^2), with the
    uncentered A in the sum, as the notebook has it; none: A. A constant batch gives zeros.
    """
    if kind == "none":
        return advantages
    origin, total, _ = statistics.advantages
    mean = total / jnp.maximum(statistics.num_steps, 1)
    centered = jnp.where(valid, advantages - origin - mean, 0.0)
    scale = _SCALES[kind](statistics)
    return jnp.where(scale > 0, centered / jnp.where(scale > 0, scale, 1.0), 0.0)
