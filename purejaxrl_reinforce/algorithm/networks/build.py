"""The policy and the baseline network: two separate networks for a configuration."""

from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.lanes import key_shape
from purejaxrl_reinforce.algorithm.networks.distributions import (
    Categorical,
    Distribution,
    Gaussian,
    squash,
    uniform_of,
)
from purejaxrl_reinforce.algorithm.networks.mlp import CNN, FILTER_SIZE, MLP, relative_to_last
from purejaxrl_reinforce.algorithm.normalization import RunningMoments, no_moments, normalized
from purejaxrl_reinforce.config import LARGEST_FLOAT, Config, LogStd
from purejaxrl_reinforce.environments.environment import Environment
from purejaxrl_reinforce.imports import error_in_a_line, target_of

# A state moves the standard deviation by a factor between exp(-5) and exp(5) at most.
MOST_LOG_STD = 5.0

# Gains of orthogonal output layers: nearly equal logits, or means near 0, to begin with.
_POLICY_GAIN, _BASELINE_GAIN = 0.01, 1.0


class Params(NamedTuple):
    """Parameters, or gradients, of the two networks; `baseline` is None where none is learned.

    `obs_moments` are of the observations so far, with `normalize_obs`, else None.
    """

    policy: Any
    baseline: Any
    obs_moments: RunningMoments | None = None


class SoftmaxPolicy(nn.Module):
    """pi(a|s) over A discrete actions; the network gives logits less the last one, [N, A - 1]."""

    network: nn.Module
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Distribution:
        return self.distribution(self.network(obs))

    def distribution(self, outputs: Array) -> Distribution:
        """Return pi(.|s) from the outputs of the network, [N, A - 1]."""
        # Equal changes of all logits change nothing, so the last one may be taken as 0.
        last = jnp.zeros_like(outputs[:, :1])
        return Categorical(jnp.concatenate([outputs, last], axis=1))

    def noise(self, key: Array) -> Array:
        """Draw the noise of one action: uniform on [0, 1), ()."""
        return uniform_of(key)

    def to_env(self, action: Array) -> Array:
        """Return the actions that the environment takes for sampled ones, [N]."""
        return action


class GaussianPolicy(nn.Module):
    """pi(a|s) over continuous actions, [N, D]: a normal distribution.

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

        return self.distribution(self.network(obs), self.param("log_std", initial))

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
        """Draw the noise of one action: standard normal, [D]."""
        return jax.random.normal(key, (self.num_dimensions,))

    def to_env(self, action: Array) -> Array:
        """Return the actions that the environment takes for sampled ones, [N, D]."""
        return action if self.bounds is None else squash(action, *self.bounds)


class BaselineNetwork(nn.Module):
    """V(s), the learned estimate of the return: observations [N, ...] to values [N]."""

    network: nn.Module
    preserve_adopted_names = True

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        return cast(Array, self.network(obs)[:, 0])


class Networks(NamedTuple):
    """The networks of one configuration; its functions normalize observations, if it says so.

    Where one network gives both, with the policy's parameters, `baseline` is None.
    """

    policy: SoftmaxPolicy | GaussianPolicy
    baseline: BaselineNetwork | None
    config: Config

    def init(self, key_policy: Array, key_baseline: Array, obs: Array) -> Params:
        """Return the first parameters of networks for observations [N, ...]."""
        moments = no_moments(obs.shape[1:]) if self.config.normalize_obs else None
        obs = self._inputs(moments, obs)
        baseline = {} if self.baseline is None else self.baseline.init(key_baseline, obs)
        return Params(self.policy.init(key_policy, obs), baseline, moments)

    def distribution(self, params: Params, obs: Array) -> Distribution:
        """Return pi(.|s) for observations [N, ...]."""
        inputs = self._inputs(params.obs_moments, obs)
        return cast(Distribution, self.policy.apply(params.policy, inputs))

    def values(self, params: Params, obs: Array) -> Array:
        """Return V(s), [N], for observations [N, ...]."""
        inputs = self._inputs(params.obs_moments, obs)
        if self.baseline is None:
            return cast(Array, self.policy.apply(params.policy, inputs, method=_values_of))
        return cast(Array, self.baseline.apply(params.baseline, inputs))

    def _inputs(self, moments: RunningMoments | None, obs: Array) -> Array:
        return obs if moments is None else normalized(moments, obs, self.config.obs_clip)


def _values_of(policy: SoftmaxPolicy | GaussianPolicy, obs: Array) -> Array:
    return cast(Array, policy.network.values(obs))


def make_networks(config: Config, env: Environment) -> Networks:
    """Return the policy that fits the environment's actions, and the baseline network.

    A network of the user's may return both, the outputs and the values: it is then shared.

    Raises:
        ValueError: they do not fit its spaces, or a user's own network cannot be used.
    """
    if config.normalize_obs and env.num_obs is not None:
        raise ValueError(f"normalize_obs needs real numbers; {env.name} observes {env.obs_space}")
    policy = _policy(config, env)
    if not getattr(policy.network, "gives_values", False):
        kind = config.network if config.baseline_network == "same" else config.baseline_network
        network = _network(config, env, kind, 1, _BASELINE_GAIN)
        if getattr(network, "gives_values", False):
            raise ValueError(f"network {kind!r} gives values, too; it may be `network` only")
        return Networks(policy, BaselineNetwork(network), config)
    for name in ("baseline_network", "baseline_steps", "gradient_noise"):
        if getattr(config, name) != getattr(Config, name):
            raise ValueError(f"{name} needs a baseline network of its own, not {config.network}")
    return Networks(policy, None, config)


def _policy(config: Config, env: Environment) -> SoftmaxPolicy | GaussianPolicy:
    kind = config.network
    if env.num_actions is not None:
        for name in ("action", "log_std"):
            if getattr(config, name) != getattr(Config, name):
                what = "is for continuous actions; those of"
                raise ValueError(f"{name} {what} {env.name} are discrete")
        logits = _network(config, env, kind, env.num_actions, _POLICY_GAIN, relative=True)
        return SoftmaxPolicy(logits)
    num_dimensions = env.action_shape[0]
    num_outputs = num_dimensions * (2 if config.log_std == "state" else 1)
    return GaussianPolicy(
        _network(config, env, kind, num_outputs, _POLICY_GAIN),
        num_dimensions,
        config.log_std,
        config.initial_std,
        _bounds(env) if config.action == "squash" else None,
    )


def _network(
    config: Config,
    env: Environment,
    kind: str,
    num_outputs: int,
    gain: float,
    relative: bool = False,
) -> nn.Module:
    if kind == "auto":
        kind = "cnn" if len(env.obs_shape) == 3 and _is_picture(env) else "mlp"
    if kind not in ("mlp", "cnn"):
        module, gives_values = _own_network(config, env, kind, num_outputs)
        return OwnNetwork(module, relative, gives_values, name="own")
    if kind == "cnn" and not _is_picture(env):
        raise ValueError(
            f"network='cnn' needs observations of 2 or 3 dimensions of at least {FILTER_SIZE} x"
            f" {FILTER_SIZE}; {env.name} has observations of shape {env.obs_shape}"
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
    """A module of the user's as the policies want it: float32 and, with `relative`, relative.

    With `gives_values`, the module returns a pair: outputs, and values [N] or [N, 1].
    """

    module: nn.Module
    relative: bool = False
    gives_values: bool = False

    @nn.compact
    def __call__(self, obs: Array) -> Array:
        outputs = self.module(obs)
        outputs = (outputs[0] if self.gives_values else outputs).astype(jnp.float32)
        return relative_to_last(outputs) if self.relative else outputs

    def values(self, obs: Array) -> Array:
        """Return the values, [N]."""
        return cast(Array, self.module(obs)[1].astype(jnp.float32).reshape(obs.shape[0]))


def _own_network(
    config: Config, env: Environment, name: str, num_outputs: int
) -> tuple[nn.Module, bool]:
    """Return the flax module of a name, made with `num_outputs`, and whether it gives values, too.

    Raises:
        ValueError: it cannot be imported or made, fails on the observations, holds more than
            parameters, or its outputs are not real numbers [N, num_outputs]; one line.
    """
    found, positional, keywords = target_of("network", name)
    keys = jax.eval_shape(lambda: jax.random.split(jax.random.key(0), 2))
    obs, _ = jax.eval_shape(env.reset, keys)
    if config.normalize_obs:
        obs = jax.ShapeDtypeStruct(obs.shape, jnp.float32)
    try:
        if isinstance(found, nn.Module):
            module: Any = found.clone(num_outputs=num_outputs)
        else:
            module = found(*positional, num_outputs=num_outputs, **keywords)
        if not isinstance(module, nn.Module):
            raise TypeError(f"it is not a flax module (flax.linen.Module), but {type(module)}")
        outputs, variables = jax.eval_shape(module.init_with_output, key_shape(), obs)
        if set(variables) == {"params"}:  # without random numbers, which Dropout wants
            jax.eval_shape(module.apply, variables, obs)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"network {name!r} fails with num_outputs={num_outputs} on observations of shape"
            f" {obs.shape}: {error_in_a_line(error)}"
        ) from None
    gives_values = isinstance(outputs, tuple) and len(outputs) == 2
    _require_outputs(name, outputs[0] if gives_values else outputs, obs.shape, num_outputs)
    if gives_values:
        _require_outputs(name, outputs[1], obs.shape, 1)
    if others := set(variables) - {"params"}:
        raise ValueError(f"network {name!r} may hold parameters only, not {sorted(others)}")
    return module, gives_values


def _require_outputs(name: str, outputs: Any, obs_shape: tuple[int, ...], width: int) -> None:
    """Raise ValueError unless outputs are real numbers [N, width], or [N] for a width of 1."""
    shape, dtype = getattr(outputs, "shape", None), getattr(outputs, "dtype", type(outputs))
    expected = (obs_shape[0], width)
    fits = shape == expected or (width == 1 and shape == obs_shape[:1])
    if not fits or not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(
            f"network {name!r} must map observations of shape {obs_shape} to logits or means, real"
            f" numbers of shape {expected}, not {dtype} of shape {shape}"
        )


def _is_picture(env: Environment) -> bool:
    shape = env.obs_shape
    return len(shape) in (2, 3) and min(shape[:2]) >= FILTER_SIZE


def _bounds(env: Environment) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds of a continuous action, [D] each, none of which may be infinite."""
    low, high = env.action_bounds()
    # The largest number stands for no bound.
    if not (np.all(low < high) and np.all(high - low < LARGEST_FLOAT)):
        raise ValueError(
            f"action='squash' needs bounded actions; {env.name} has {env.action_space}"
        )
    return low, high
