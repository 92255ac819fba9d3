"""The policies: networks from observations to action distributions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.networks.distributions import (
    Categorical,
    DiagonalGaussian,
    Distribution,
    uniform_of,
)
from purejaxrl_reinforce.algorithm.networks.mlp import MLP, relative_to_last
from purejaxrl_reinforce.algorithm.networks.relu_mlp import ReluMLPParams
from purejaxrl_reinforce.algorithm.networks.squashed_gaussian import SquashedGaussian, squash
from purejaxrl_reinforce.algorithm.obs_normalizer import ObsNormalizer
from purejaxrl_reinforce.config import LogStd

# A state moves the standard deviation by a factor between exp(-5) and exp(5) at most.
MOST_LOG_STD = 5.0


class SoftmaxPolicy(nn.Module):
    """pi(a|s) over discrete actions: observations [N, ...] to a Categorical over A actions.

    The network gives the logits relative to the last, [N, A - 1].
    """

    network: nn.Module
    normalizer: ObsNormalizer | None = None
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        return categorical(self.network(obs if self.normalizer is None else self.normalizer(obs)))

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
    normalizer: ObsNormalizer | None = None
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        def initial(_: Array) -> Array:
            return jnp.full(self.num_dimensions, jnp.log(jnp.float32(self.initial_std)))

        outputs = self.network(obs if self.normalizer is None else self.normalizer(obs))
        return self.distribution(outputs, self.param("log_std", initial))

    def distribution(self, outputs: Array, log_std: Array) -> Distribution:
        """Return pi(.|s) from the outputs of the network, [N, D or 2 D], and the parameter [D]."""
        mean = outputs
        if self.log_std != "free":
            log_std = jax.lax.stop_gradient(log_std)
        if self.log_std == "state":
            mean, change = jnp.split(outputs, 2, axis=-1)
            log_std = log_std[None] + MOST_LOG_STD * jnp.tanh(change / MOST_LOG_STD)
        if self.bounds is None:
            return DiagonalGaussian(mean, log_std)
        return SquashedGaussian(mean, log_std, *self.bounds)

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


class PolicyParts(NamedTuple):
    """A policy with one hidden layer of ReLUs in its parts, for who puts them together anew.

    Attributes:
        layers: of its network.
        inputs: gives the network's inputs [N, K] from observations [N, ...].
        others: further parameters.
        distribution: gives pi(.|s) from the network's outputs [N, O] and `others`.
    """

    layers: ReluMLPParams
    inputs: Callable[[Array], Array]
    others: Any
    distribution: Callable[[Array, Any], Distribution]


def has_parts(policy: SoftmaxPolicy | GaussianPolicy) -> bool:
    """Return whether a policy is one hidden layer of ReLUs, and has `PolicyParts` therefore."""
    network = policy.network
    if type(network) is not MLP or network.layer_norm or policy.normalizer is not None:
        return False
    return len(network.hidden_sizes) == 1 and network.activation == "relu"


def layers_of(params: Any) -> ReluMLPParams:
    """Return the layers of a policy or baseline with one hidden layer of ReLUs."""
    hidden, out = params["params"]["mlp"]["hidden_0"], params["params"]["mlp"]["out"]
    return ReluMLPParams(hidden["kernel"], hidden["bias"], out["kernel"], out["bias"])


def policy_parts(policy: SoftmaxPolicy | GaussianPolicy, policy_params: Any) -> PolicyParts:
    """Return the parts of a policy that has them."""
    layers, network = layers_of(policy_params), policy.network
    assert isinstance(network, MLP)
    if isinstance(policy, GaussianPolicy):
        log_std = policy_params["params"]["log_std"]
        return PolicyParts(layers, network.inputs, log_std, policy.distribution)
    relative = ReluMLPParams(*layers[:2], *map(relative_to_last, layers[2:]))
    return PolicyParts(relative, network.inputs, (), lambda outputs, _: categorical(outputs))
