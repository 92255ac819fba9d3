"""The policies: networks from observations to action distributions."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.networks.distributions import (
    Categorical,
    Distribution,
    Gaussian,
    squash,
    uniform_of,
)
from purejaxrl_reinforce.config import LogStd

# A state moves the standard deviation by a factor between exp(-5) and exp(5) at most.
MOST_LOG_STD = 5.0


class SoftmaxPolicy(nn.Module):
    """pi(a|s) over discrete actions: observations [N, ...] to a Categorical over A actions.

    The network gives the logits relative to the last, [N, A - 1].
    """

    network: nn.Module
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        return categorical(self.network(obs))

    def noise(self, key: Array) -> Array:
        """Draw what one action is sampled from: uniform on [0, 1), ()."""
        return uniform_of(key)

    def to_env(self, action: Array) -> Array:
        """Return the actions that the environment takes for sampled ones."""
        return action


class GaussianPolicy(nn.Module):
    """pi(a|s) over continuous actions: observations [N, ...] to a normal distribution, [N, D].

    The standard deviation starts at `initial_std`. It is one learned vector (`log_std="free"`),
    stays as it is ("fixed"), or depends on the state ("state": the network has 2 D outputs, and the
    last D of them, bounded by tanh, are added to its logarithm). With `bounds`, actions are
    squashed into these.
    """

    network: nn.Module
    num_dimensions: int
    log_std: LogStd = "free"
    initial_std: Any = 1.0
    bounds: tuple[Any, Any] | None = None
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        def initial(_: Array) -> Array:
            return jnp.full(self.num_dimensions, jnp.log(jnp.float32(self.initial_std)))

        outputs = self.network(obs)
        return self.distribution(outputs, self.param("log_std", initial))

    def distribution(self, outputs: Array, log_std: Array) -> Distribution:
        """Return pi(.|s) from the outputs of the network, [N, D or 2 D], and the parameter [D]."""
        mean = outputs
        if self.log_std != "free":
            log_std = jax.lax.stop_gradient(log_std)
        if self.log_std == "state":
            mean, change = jnp.split(outputs, 2, axis=-1)
            log_std = log_std[None] + MOST_LOG_STD * jnp.tanh(change / MOST_LOG_STD)
        return Gaussian(mean, log_std, self.bounds)

    def noise(self, key: Array) -> Array:
        """Draw what one action is sampled from: standard normal, [D]."""
        return jax.random.normal(key, (self.num_dimensions,))

    def to_env(self, action: Array) -> Array:
        """Return the actions that the environment takes for sampled ones, [N, D]."""
        return action if self.bounds is None else squash(action, *self.bounds)


def categorical(relative_logits: Array) -> Categorical:
    """Return the distribution over A actions, from all logits but the last, less that, [N, A-1]."""
    # Equal changes of all logits change nothing, so the last one may be taken as 0.
    last = jnp.zeros_like(relative_logits[:, :1])
    return Categorical(jnp.concatenate([relative_logits, last], axis=1))
