"""Action distributions. Samples are functions of noise, so that noise can be drawn in bulk."""

import functools
import itertools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

# More actions than these would make the program too long.
_MOST_WRITTEN_OUT = 32

# Points of the Gauss-Hermite quadrature: the entropy is right to 1e-4 for standard deviations up to
# 1, to 3e-3 up to 2, to 0.1 up to 5.
_POINTS = 16


def uniform_of(key: Array) -> Array:
    """Return a number that is uniform on [0, 1), (), float32, from a key made by `fold_in`.

    Such a key's data are random bits already, so this saves `jax.random.uniform`'s second hash.
    Use the key for nothing else.
    """
    bits = jax.random.key_data(key)[0]
    one_to_two = jax.lax.bitcast_convert_type(bits >> 9 | jnp.uint32(0x3F800000), jnp.float32)
    return one_to_two - 1.0


class Categorical(NamedTuple):
    """Softmax distribution over A actions, from unnormalized log-probabilities [..., A]."""

    logits: Array

    def sample(self, noise: Array) -> Array:
        """Invert the distribution function at noise [...], uniform on [0, 1): [...], int32."""
        # The last cumulative probability is 1 but for rounding; leaving it out keeps the action
        # below A whatever the rounding.
        if not self._is_small:
            totals = jnp.cumsum(jax.nn.softmax(self.logits), axis=-1)[..., :-1]
            return jnp.sum(noise[..., None] >= totals, axis=-1, dtype=jnp.int32)
        cumulative = itertools.accumulate(self._probs()[:-1])
        first = jnp.zeros(noise.shape, jnp.int32)
        return sum(((noise >= c).astype(jnp.int32) for c in cumulative), start=first)

    def log_prob(self, action: Array) -> Array:
        """Return log pi(action), [...], for integer actions [...]."""
        # Sums of choices instead of a gather: its derivative is a sum, too, not a scatter.
        if not self._is_small:
            one_hot = jax.nn.one_hot(action, self.logits.shape[-1])
            return jnp.sum(jnp.where(one_hot > 0, jax.nn.log_softmax(self.logits), 0.0), axis=-1)
        chosen = [jnp.where(action == i, x, 0.0) for i, x in enumerate(self._log_probs())]
        return functools.reduce(jnp.add, chosen)

    def entropy(self) -> Array:
        """Return -sum_a p_a log p_a in nats, [...]; an action of probability 0 adds 0."""
        if self._is_small:
            log_probs = jnp.stack(self._log_probs(), axis=-1)
        else:
            log_probs = jax.nn.log_softmax(self.logits)
        probs = jnp.exp(log_probs)
        return -jnp.sum(probs * jnp.where(probs > 0, log_probs, 0.0), axis=-1)

    def mode(self) -> Array:
        """Return the most probable action, [...] (int32)."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    # Actions one by one, because arrays [...] fuse where [..., A] and reductions over A do not.

    @property
    def _is_small(self) -> bool:
        """Whether the actions are so few that a program may be written out for each of them."""
        return self.logits.shape[-1] <= _MOST_WRITTEN_OUT

    def _shifted(self) -> list[Array]:
        """Return the logits, [...] for each action, less the largest."""
        logits = [self.logits[..., i] for i in range(self.logits.shape[-1])]
        largest = jax.lax.stop_gradient(functools.reduce(jnp.maximum, logits))
        return [x - largest for x in logits]

    def _probs(self) -> list[Array]:
        unnormalized = [jnp.exp(x) for x in self._shifted()]
        return [x / sum(unnormalized) for x in unnormalized]

    def _log_probs(self) -> list[Array]:
        shifted = self._shifted()
        log_total = jnp.log(sum(jnp.exp(x) for x in shifted))
        return [x - log_total for x in shifted]


class Gaussian(NamedTuple):
    """Normal distribution with independent components; with bounds, squashed by `squash`.

    Samples, the mode and the arguments of `log_prob` are those before the squashing: so the
    log-density is exact even where the squashed action rounds to a bound.

    Attributes:
        mean: [..., D].
        log_std: [D] or [..., D], natural logarithm of the standard deviation.
        bounds: the low and the high ones of a box, [D] each, or None.
    """

    mean: Array
    log_std: Array
    bounds: tuple[Array, Array] | None = None

    def sample(self, noise: Array) -> Array:
        """Return mean + std * noise, [..., D], for standard normal noise [..., D]."""
        return self.mean + self._std() * noise

    def log_prob(self, action: Array) -> Array:
        """Return the log-density, [...], of actions [..., D]; in the box, if there is one."""
        scaled = (action - self.mean) / self._std()
        log_std = jnp.broadcast_to(self.log_std, self.mean.shape)
        density = -jnp.sum(0.5 * scaled**2 + log_std + 0.5 * jnp.log(2 * jnp.pi), axis=-1)
        if self.bounds is None:
            return density
        return density - jnp.sum(_log_slope(action, *self.bounds), axis=-1)

    def entropy(self) -> Array:
        """Return the differential entropy in nats, [...]; in the box, if there is one.

        There, it has no closed form: the mean of the log-slope is a Gauss-Hermite quadrature, which
        needs no samples and has a derivative.
        """
        log_std = jnp.broadcast_to(self.log_std, self.mean.shape)
        entropy = jnp.sum(log_std + 0.5 * jnp.log(2 * jnp.pi * jnp.e), axis=-1)
        if self.bounds is None:
            return entropy
        points, weights = np.polynomial.hermite_e.hermegauss(_POINTS)
        weights = weights / weights.sum()
        slopes = (
            float(weight) * _log_slope(self.mean + self._std() * float(point), *self.bounds)
            for point, weight in zip(points, weights, strict=True)
        )
        return entropy + jnp.sum(sum(slopes), axis=-1)

    def mode(self) -> Array:
        """Return the mean, [..., D]; squashed, it is the median of each component."""
        return self.mean

    def _std(self) -> Array:
        return jnp.broadcast_to(jnp.exp(self.log_std), self.mean.shape)


Distribution = Categorical | Gaussian


def squash(u: Array, low: Array, high: Array) -> Array:
    """Return low + (high - low) (1 + tanh(u)) / 2, [..., D], for u [..., D] and bounds [D]."""
    low, high = (jnp.broadcast_to(bound, u.shape) for bound in (low, high))
    return jnp.clip(low + (high - low) * (0.5 + 0.5 * jnp.tanh(u)), low, high)


def _log_slope(u: Array, low: Array, high: Array) -> Array:
    """Return log(d squash(u) / du), [..., D]: log(1 - tanh(u)^2), stable for large |u|."""
    slope = 2 * (math.log(2) - u - jax.nn.softplus(-2 * u))
    return slope + jnp.broadcast_to(jnp.log((high - low) / 2), u.shape)
