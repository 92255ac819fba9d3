"""The policy and the baseline network: two separate multilayer perceptrons."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.distributions import Categorical, DiagonalGaussian, Distribution
from purejaxrl_reinforce.environment import Environment

ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": nn.relu,
    "tanh": jnp.tanh,
    "gelu": nn.gelu,
    "silu": nn.silu,
    "elu": nn.elu,
}


class MLP(nn.Module):
    """Dense layers with Glorot-uniform kernels and zero biases, as Keras has them.

    Maps observations [N, ...] to [N, num_outputs]. Real-valued observations are flattened; with
    `num_obs`, observations are integers below it and become one-hot vectors.
    """

    hidden_sizes: tuple[int, ...]
    activation: str
    num_outputs: int
    num_obs: int | None = None

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        if self.num_obs is not None:
            x = jax.nn.one_hot(obs, self.num_obs)
        else:
            x = obs.reshape(obs.shape[0], -1).astype(jnp.float32)
        kernel_init = nn.initializers.glorot_uniform()
        for i, width in enumerate(self.hidden_sizes):
            x = nn.Dense(width, kernel_init=kernel_init, name=f"hidden_{i}")(x)
            x = ACTIVATIONS[self.activation](x)
        return nn.Dense(self.num_outputs, kernel_init=kernel_init, name="out")(x)


class SoftmaxPolicy(nn.Module):
    """pi(a|s) over discrete actions: observations [N, ...] to a Categorical over `A` actions."""

    mlp: MLP

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        return Categorical(self.mlp(obs))

    def noise(self, key: Array, num_envs: int) -> Array:
        """Draw what `num_envs` actions are sampled from: uniform, [N]."""
        return jax.random.uniform(key, (num_envs,))


class GaussianPolicy(nn.Module):
    """pi(a|s) over continuous actions: observations [N, ...] to a DiagonalGaussian, [N, D].

    The standard deviation is one learned vector, independent of the observation, and starts at 1.
    """

    mlp: MLP

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        log_std = self.param("log_std", nn.initializers.zeros, (self.mlp.num_outputs,))
        return DiagonalGaussian(self.mlp(obs), log_std)

    def noise(self, key: Array, num_envs: int) -> Array:
        """Draw what `num_envs` actions are sampled from: standard normal, [N, D]."""
        return jax.random.normal(key, (num_envs, self.mlp.num_outputs))


class Baseline(nn.Module):
    """V(s), the learned estimate of the return: observations [N, ...] to values [N]."""

    mlp: MLP

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        return self.mlp(obs)[:, 0]


class Networks(NamedTuple):
    """The modules of one configuration."""

    policy: SoftmaxPolicy | GaussianPolicy
    baseline: Baseline

    def distribution(self, policy_params: Any, obs: Array) -> Distribution:
        """Return pi(.|s) for observations [N, ...]."""
        return cast(Distribution, self.policy.apply(policy_params, obs))

    def values(self, baseline_params: Any, obs: Array) -> Array:
        """Return V(s), [N], for observations [N, ...]."""
        return cast(Array, self.baseline.apply(baseline_params, obs))


def make_networks(config: Config, env: Environment) -> Networks:
    """Return the policy that fits the environment's actions, and the baseline network."""

    def mlp(num_outputs: int) -> MLP:
        return MLP(config.hidden_sizes, config.activation, num_outputs, env.num_obs)

    if env.num_actions is None:
        return Networks(GaussianPolicy(mlp(env.action_shape[0])), Baseline(mlp(1)))
    return Networks(SoftmaxPolicy(mlp(env.num_actions)), Baseline(mlp(1)))
