"""The policy and the baseline network: two separate networks for a configuration."""

from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.environments.environment import Environment
from purejaxrl_reinforce.algorithm.environments.own import error_in_a_line, imported
from purejaxrl_reinforce.algorithm.networks.distributions import Distribution
from purejaxrl_reinforce.algorithm.networks.mlp import CNN, FILTER_SIZE, MLP, relative_to_last
from purejaxrl_reinforce.algorithm.networks.policies import GaussianPolicy, SoftmaxPolicy
from purejaxrl_reinforce.algorithm.normalization import RunningMoments, no_moments, normalized
from purejaxrl_reinforce.config import LARGEST_FLOAT, Config

# Gains of orthogonal output layers: nearly equal logits, or means near 0, to begin with.
_POLICY_GAIN, _BASELINE_GAIN = 0.01, 1.0


class Params(NamedTuple):
    """Parameters, or gradients, of the two networks; `baseline` is None where none is learned.

    `obs_moments` are those of the observations so far, with `normalize_obs`, else None.
    """

    policy: Any
    baseline: Any
    obs_moments: RunningMoments | None = None


class BaselineNetwork(nn.Module):
    """V(s), the learned estimate of the return: observations [N, ...] to values [N]."""

    network: nn.Module
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        return cast(Array, self.network(obs)[:, 0])


class Networks(NamedTuple):
    """The networks of one configuration; its functions normalize observations, if it says so."""

    policy: SoftmaxPolicy | GaussianPolicy
    baseline: BaselineNetwork
    config: Config

    def init(self, key_policy: Array, key_baseline: Array, obs: Array) -> Params:
        """Return the first parameters of networks for observations [N, ...]."""
        moments = no_moments(obs.shape[1:]) if self.config.normalize_obs else None
        obs = self._inputs(moments, obs)
        policy = self.policy.init(key_policy, obs)
        return Params(policy, self.baseline.init(key_baseline, obs), moments)

    def distribution(self, params: Params, obs: Array) -> Distribution:
        """Return pi(.|s) for observations [N, ...]."""
        inputs = self._inputs(params.obs_moments, obs)
        return cast(Distribution, self.policy.apply(params.policy, inputs))

    def values(self, params: Params, obs: Array) -> Array:
        """Return V(s), [N], for observations [N, ...]."""
        inputs = self._inputs(params.obs_moments, obs)
        return cast(Array, self.baseline.apply(params.baseline, inputs))

    def _inputs(self, moments: RunningMoments | None, obs: Array) -> Array:
        return obs if moments is None else normalized(moments, obs, self.config.obs_clip)


def make_networks(config: Config, env: Environment) -> Networks:
    """Return the policy that fits the environment's actions, and the baseline network.

    Raises:
        ValueError: the network or the kind of actions does not fit the environment's spaces, or a
            network of one's own cannot be used.
    """
    if config.normalize_obs and env.num_obs is not None:
        raise ValueError(f"normalize_obs needs real numbers; {env.name} observes {env.obs_space}")
    baseline = BaselineNetwork(_network(config, env, 1, _BASELINE_GAIN))
    if env.num_actions is not None:
        for name in ("action", "log_std"):
            if getattr(config, name) != getattr(Config, name):
                raise ValueError(
                    f"{name} is for continuous actions; those of {env.name} are discrete"
                )
        logits = _network(config, env, env.num_actions, _POLICY_GAIN, relative=True)
        return Networks(SoftmaxPolicy(logits), baseline, config)
    num_dimensions = env.action_shape[0]
    num_outputs = num_dimensions * (2 if config.log_std == "state" else 1)
    policy = GaussianPolicy(
        _network(config, env, num_outputs, _POLICY_GAIN),
        num_dimensions,
        config.log_std,
        config.initial_std,
        _bounds(env) if config.action == "squash" else None,
    )
    return Networks(policy, baseline, config)


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
        return OwnNetwork(_own_network(config, env, kind, num_outputs), relative, name="own")
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
        env.num_obs,
        relative,
        config.layer_norm,
        gain if config.orthogonal else None,
        name=kind,
    )


class OwnNetwork(nn.Module):
    """A module of the user's as the policies want it: float32 and, with `relative`, relative."""

    module: nn.Module
    relative: bool = False

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        outputs = self.module(obs).astype(jnp.float32)
        return relative_to_last(outputs) if self.relative else outputs


def _own_network(config: Config, env: Environment, path: str, num_outputs: int) -> nn.Module:
    """Return the flax module `path`, package.module:Class, made with `num_outputs`.

    Raises:
        ValueError: it cannot be imported or made, fails on the observations, holds more than
            parameters, or its outputs are not real numbers [N, num_outputs]; one line.
    """
    module_class = imported("network", path)
    if not (isinstance(module_class, type) and issubclass(module_class, nn.Module)):
        raise ValueError(f"network {path!r} is not a class of flax modules (flax.linen.Module)")
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    obs, _ = jax.eval_shape(env.reset, keys)
    dtype = jnp.float32 if config.normalize_obs else obs.dtype
    obs = jax.ShapeDtypeStruct(obs.shape, dtype)
    try:
        module = module_class(num_outputs=num_outputs)
        key = jax.eval_shape(lambda: jax.random.key(0))
        outputs, variables = jax.eval_shape(module.init_with_output, key, obs)
    except Exception as error:
        raise ValueError(
            f"network {path!r} fails with num_outputs={num_outputs} on observations of shape"
            f" {obs.shape}: {error_in_a_line(error)}"
        ) from None
    shape, dtype = getattr(outputs, "shape", None), getattr(outputs, "dtype", type(outputs))
    if shape != (obs.shape[0], num_outputs) or not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"network {path!r} must map observations of shape {obs.shape} to real numbers of shape"
            f" {(obs.shape[0], num_outputs)}, not {dtype} of shape {shape}"
        )
    if others := set(variables) - {"params"}:
        raise ValueError(f"network {path!r} may hold parameters only, not {sorted(others)}")
    return module


def _is_picture(env: Environment) -> bool:
    shape = env.obs_shape
    return len(shape) in (2, 3) and min(shape[:2]) >= FILTER_SIZE


def _bounds(env: Environment) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of a continuous action, [D] each, none of which may be infinite."""
    low, high = env.action_bounds()
    # The largest number stands for no bound.
    if not (np.all(low < high) and np.all(high - low < LARGEST_FLOAT)):
        raise ValueError(
            f"action='squash' needs bounded actions; those of {env.name} are {env.action_space}"
        )
    return low, high
