"""Normalization of observations: running moments beside the parameters of each network."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.batching import LaneAxis

# Added to each variance.
VARIANCE_EPSILON = 1e-8

# Name of the module within a policy or a baseline network, and of its collection of variables.
OBS_NORMALIZER = "normalizer"
_COLLECTION = "obs_stats"


class RunningMoments(NamedTuple):
    """Number of the values so far, their mean and variance: (), [...], [...], float32."""

    number: Array
    mean: Array
    var: Array


def no_moments(shape: tuple[int, ...]) -> RunningMoments:
    """Return the moments of no values: those that change nothing are 0 and 1."""
    return RunningMoments(jnp.zeros(()), jnp.zeros(shape), jnp.ones(shape))


def add_values(moments: RunningMoments, x: Array, valid: Array, axis: LaneAxis) -> RunningMoments:
    """Return the moments with the valid rows of x added.

    (Chan, Golub and LeVeque, 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances".)

    Args:
        moments: so far.
        x: [T, N, ...].
        valid: [T, N].
        axis: the device axis the lanes are sharded over.
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
    var = moments.var + share * (batch_var - moments.var + (1 - share) * change**2)
    return RunningMoments(number, moments.mean + share * change, var)


class ObsNormalizer(nn.Module):
    """(obs - mean) / standard deviation, clipped: observations [N, ...] to [N, ...], float32.

    The moments are variables beside the parameters, without a gradient; `add_observations` sets
    them.
    """

    clip: Any

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        initial = no_moments(obs.shape[1:])._asdict()
        moments = RunningMoments(
            **{
                name: jax.lax.stop_gradient(self.variable(_COLLECTION, name, lambda x=x: x).value)
                for name, x in initial.items()
            }
        )
        scale = jax.lax.rsqrt(moments.var + VARIANCE_EPSILON)
        x = (obs.astype(jnp.float32) - moments.mean[None]) * scale[None]
        return jnp.clip(x, -self.clip, self.clip)


def obs_moments(params: Any) -> RunningMoments | None:
    """Return the moments of a network with normalized observations, None without."""
    if params is None or _COLLECTION not in params:
        return None
    return RunningMoments(**params[_COLLECTION][OBS_NORMALIZER])


def with_obs_moments(params: Any, moments: RunningMoments) -> Any:
    """Return the parameters of a network, if there is one, with other moments."""
    stats = {_COLLECTION: {OBS_NORMALIZER: moments._asdict()}}
    return None if params is None else params | stats
