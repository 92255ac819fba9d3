"""Running statistics of observations and rewards, over the valid steps of all updates so far.

Observations are normalized by those of the updates before, rewards by those of this one, too.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array, lax

from purejaxrl_reinforce.algorithm.lanes import LaneAxis

# Added to each variance.
VARIANCE_EPSILON = 1e-8


class RunningMoments(NamedTuple):
    """Number of the values so far, their mean and variance: (), [...], [...], float32."""

    number: Array
    mean: Array
    var: Array


def no_moments(shape: tuple[int, ...]) -> RunningMoments:
    """Return the moments of no values: those that change nothing are 0 and 1."""
    return RunningMoments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))


def add_values(moments: RunningMoments, x: Array, valid: Array, axis: LaneAxis) -> RunningMoments:
    """Return the moments with the valid [T, N] rows of x [T, N, ...] added.

    (Chan, Golub and LeVeque, 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances".)
    """
    rows = valid.reshape(valid.shape + (1,) * (x.ndim - 2))

    def total(values: Array) -> Array:
        return axis.sum(jnp.sum(values, axis=(0, 1), where=rows))

    added = axis.sum(jnp.sum(valid)).astype(jnp.float32)
    divisor = jnp.maximum(added, 1)
    x = x - moments.mean[None, None]  # so that rounding is that of deviations, not of values
    change = total(x) / divisor
    batch_var = total((x - change[None, None]) ** 2) / divisor
    number = moments.number + added
    share = added / jnp.maximum(number, 1)
    # Where nothing came before, the share is 1, and this is the batch's own variance exactly.
    var = (1 - share) * moments.var + share * (batch_var + (1 - share) * change**2)
    return RunningMoments(number, moments.mean + share * change, var)


def normalized(moments: RunningMoments, obs: Array, clip: Any) -> Array:
    """Return (obs - mean) / standard deviation, clipped, [N, ...], of observations [N, ...]."""
    scale = lax.rsqrt(moments.var + VARIANCE_EPSILON)
    x = (obs.astype(jnp.float32) - moments.mean[None]) * scale[None]
    return jnp.clip(x, -clip, clip)
