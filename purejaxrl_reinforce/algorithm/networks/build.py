"""The policy and the baseline network: two separate networks for a configuration."""

from collections.abc import Callable
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.batching import tuning
from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.environments.environment import Environment
from purejaxrl_reinforce.algorithm.networks.distributions import Distribution
from purejaxrl_reinforce.algorithm.networks.mlp import CNN, FILTER_SIZE, MLP
from purejaxrl_reinforce.algorithm.networks.own_network import OwnNetwork, own_network
from purejaxrl_reinforce.algorithm.networks.policies import (
    GaussianPolicy,
    PolicyParts,
    SoftmaxPolicy,
    layers_of,
    policy_parts,
)
from purejaxrl_reinforce.algorithm.networks.relu_mlp import ReluMLPParams
from purejaxrl_reinforce.algorithm.obs_normalizer import OBS_NORMALIZER, ObsNormalizer
from purejaxrl_reinforce.config import LARGEST_FLOAT, Config

# Gains of orthogonal output layers: nearly equal logits, or means near 0, to begin with.
_POLICY_GAIN, _BASELINE_GAIN = 0.01, 1.0


class Params(NamedTuple):
    """Parameters, or gradients, of the two networks; `baseline` is None where none is learned."""

    policy: Any
    baseline: Any


class BaselineNetwork(nn.Module):
    """V(s), the learned estimate of the return: observations [N, ...] to values [N]."""

    network: nn.Module
    normalizer: ObsNormalizer | None = None
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        outputs = self.network(obs if self.normalizer is None else self.normalizer(obs))
        return cast(Array, outputs[:, 0])


class Networks(NamedTuple):
    """The modules of one configuration."""

    policy: SoftmaxPolicy | GaussianPolicy
    baseline: BaselineNetwork

    def distribution(self, policy_params: Any, obs: Array) -> Distribution:
        """Return pi(.|s) for observations [N, ...]."""
        return cast(Distribution, self.policy.apply(policy_params, obs))

    def policy_parts(self, policy_params: Any) -> PolicyParts:
        """Return the parts of a policy with one hidden layer of ReLUs."""
        return policy_parts(self.policy, policy_params)

    def baseline_parts(self, params: Any) -> tuple[ReluMLPParams, Callable[[Array], Array]]:
        """Return the layers of a baseline with one hidden layer, and what gives their inputs."""
        assert isinstance(self.baseline.network, MLP)
        return layers_of(params), self.baseline.network.inputs

    def values(self, baseline_params: Any, obs: Array) -> Array:
        """Return V(s), [N], for observations [N, ...]."""
        return cast(Array, self.baseline.apply(baseline_params, obs))


def make_networks(config: Config) -> Networks:
    """Return the policy that fits the environment's actions, and the baseline network.

    Raises:
        ValueError: the network or the kind of actions does not fit the environment's spaces, or a
            network of one's own cannot be used.
    """
    env = environment.make(config.env, config.env_params)
    normalizer = _normalizer(config, env)
    baseline = BaselineNetwork(_network(config, env, 1, _BASELINE_GAIN), normalizer)
    if env.num_actions is not None:
        for name in ("action", "log_std"):
            if getattr(config, name) != getattr(Config, name):
                raise ValueError(
                    f"{name} is for continuous actions; those of {env.name} are discrete"
                )
        logits = _network(config, env, env.num_actions, _POLICY_GAIN, relative=True)
        return Networks(SoftmaxPolicy(logits, normalizer), baseline)
    num_dimensions = env.action_shape[0]
    num_outputs = num_dimensions * (2 if config.log_std == "state" else 1)
    return Networks(
        GaussianPolicy(
            _network(config, env, num_outputs, _POLICY_GAIN),
            num_dimensions,
            config.log_std,
            config.initial_std,
            _bounds(env) if config.action == "squash" else None,
            normalizer,
        ),
        baseline,
    )


def network_kind(config: Config, env: Environment) -> str:
    """Return the network that "auto" stands for, and any other as it is."""
    if config.network != "auto":
        return config.network
    return "cnn" if len(env.obs_shape) == 3 and _is_picture(env) else "mlp"


def _network(
    config: Config, env: Environment, num_outputs: int, gain: float, relative: bool = False
) -> nn.Module:
    kind = network_kind(config, env)
    if kind not in ("mlp", "cnn"):
        keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
        obs, _ = jax.eval_shape(env.reset, keys)
        dtype = "float32" if config.normalize_obs else str(obs.dtype)
        own = own_network(kind, num_outputs, obs.shape, dtype)
        return OwnNetwork(own, relative, name="own")
    if kind == "cnn" and not _is_picture(env):
        raise ValueError(
            f"network='cnn' needs observations of 2 or 3 dimensions of at least {FILTER_SIZE} x"
            f" {FILTER_SIZE}; the shape of those of {env.name} is {env.obs_shape}"
        )
    return (CNN if kind == "cnn" else MLP)(
        config.hidden_sizes,
        config.activation,
        num_outputs,
        config.precision,
        tuning(config).sums,
        env.num_obs,
        relative,
        config.layer_norm,
        gain if config.orthogonal else None,
        name=kind,
    )


def _normalizer(config: Config, env: Environment) -> ObsNormalizer | None:
    if not config.normalize_obs:
        return None
    if env.num_obs is not None:
        raise ValueError(f"normalize_obs needs real numbers; {env.name} observes {env.obs_space}")
    return ObsNormalizer(config.obs_clip, name=OBS_NORMALIZER)


def _is_picture(env: Environment) -> bool:
    shape = env.obs_shape
    return len(shape) in (2, 3) and min(shape[:2]) >= FILTER_SIZE


def _bounds(env: Environment) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of a continuous action, [D] each."""
    with jax.ensure_compile_time_eval():
        low, high = env.action_bounds()
        # The largest number stands for no bound.
        if np.all(low < high) and np.all(high - low < LARGEST_FLOAT):
            return low, high
        space = env.action_space
    raise ValueError(f"action='squash' needs bounded actions; those of {env.name} are {space}")
