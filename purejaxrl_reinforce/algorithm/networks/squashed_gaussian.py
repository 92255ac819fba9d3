"""A normal distribution squashed into a box: for actions with bounds."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.networks.distributions import DiagonalGaussian

# Points of the Gauss-Hermite quadrature: the entropy is right to 1e-4 for standard deviations up to
# 1, to 3e-3 up to 2, to 0.1 up to 5.
_POINTS = 16


class SquashedGaussian(NamedTuple):
    """Distribution of `squash(u)` for normal u, with independent components.

    Samples, the mode and the arguments of `log_prob` are u, before the squashing: so the
    log-density is exact even where the squashed action rounds to a bound.

    Attributes:
        mean: [..., D], of u.
        log_std: [D] or [..., D], natural logarithm of the standard deviation of u.
        low: [D], bounds of the box.
        high: [D].
    """

    mean: Array
    log_std: Array
    low: Array
    high: Array

    def sample(self, noise: Array) -> Array:
        """Return u = mean + std * noise, [..., D], for standard normal noise [..., D]."""
        return self._gaussian().sample(noise)

    def log_prob(self, action: Array) -> Array:
        """Return the log-density of squash(u) in the box, [...], for u [..., D]."""
        return self._gaussian().log_prob(action) - jnp.sum(self._log_slope(action), axis=-1)

    def entropy(self) -> Array:
        """Return the differential entropy in the box, in nats, [...].

        There is no closed form: the mean of the log-slope is a Gauss-Hermite quadrature, which
        needs no samples and has a derivative.
        """
        std = jnp.broadcast_to(jnp.exp(self.log_std), self.mean.shape)
        points, weights = np.polynomial.hermite_e.hermegauss(_POINTS)
        slopes = (
            weight * self._log_slope(self.mean + std * point)
            for point, weight in zip(
                points.tolist(), (weights / weights.sum()).tolist(), strict=True
            )
        )
        return self._gaussian().entropy() + jnp.sum(sum(slopes), axis=-1)

    def mode(self) -> Array:
        """Return the mean of u, [..., D]; squashed, it is the median of each component."""
        return self.mean

    def _gaussian(self) -> DiagonalGaussian:
        return DiagonalGaussian(self.mean, self.log_std)

    def _log_slope(self, u: Array) -> Array:
        """Return log(d squash(u) / du), [..., D]: log(1 - tanh(u)^2), stable for large |u|."""
        slope = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
        return slope + jnp.broadcast_to(jnp.log((self.high - self.low) / 2), u.shape)


def squash(u: Array, low: Array, high: Array) -> Array:
    """Return low + (high - low) (1 + tanh(u)) / 2, [..., D], for u [..., D] and bounds [D]."""
    low, high = (jnp.broadcast_to(bound, u.shape) for bound in (low, high))
    return jnp.clip(low + (high - low) * (0.5 + 0.5 * jnp.tanh(u)), low, high)
