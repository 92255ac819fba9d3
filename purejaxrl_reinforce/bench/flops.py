"""Operation counts of training: the least floating-point operations and bytes, by piece.

XLA's own count of a whole program takes the body of a loop once, whatever its length. So the
perceptrons are counted by formula, and the pieces without a formula (the environment's step, an
action's sampling, the loss at the network's output) by XLA's count of a single step of them, taken
before optimization so that what the compiler computes twice does not count twice.

Additions, multiplications, comparisons and functions like exp count as one each. Random bits,
masking and metrics do not count: the figures are a floor.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.environments.environment import Environment
from purejaxrl_reinforce.algorithm.networks.build import make_networks
from purejaxrl_reinforce.algorithm.reinforce import collect
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.bench.network_flops import ROWS, counted, network_flops
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.memory import few_lanes

_FLOAT_BYTES = 4
# reward + discount * ((1 - trace) * value + trace * return)
_RETURN_FLOPS = 6
# Subtracting the baseline; then shifting, centering, squaring, two sums, dividing.
_ADVANTAGE_FLOPS = {"none": 1, "unit": 7, "standardize": 7}
# Baselines without a network: a sum over the lanes, and taking the own return out of it.
_BASELINE_FLOPS = {"none": 0, "mean": 1, "loo": 3}
# (V - G)^2 and its derivative 2 (V - G) / count.
_SQUARED_ERROR_FLOPS = 5
# Per parameter, Adam: moments 3 + 4, their bias 2, root, epsilon, division, rate, addition;
# and the norm that clipping looks at, 2.
_OPTIMIZER_FLOPS = 16
# Per parameter: gradient read; parameter and both moments read and written.
_OPTIMIZER_FLOATS = 7


class Cost(NamedTuple):
    """Floating-point operations and bytes from or to main memory."""

    flops: float
    bytes: float


def phase_costs(config: Config) -> dict[str, Cost]:
    """Return the least cost of `rollout`, `targets`, `gradient` and `further` per valid step.

    `further` are the further gradients of the baseline, with `baseline_steps` above 1; the
    optimizer's steps for them do not count. `optimizer` is per update. Bytes are those of the
    recorded trajectory, returns, values and advantages, each read or written once by a phase that
    needs it: what happens within a block of time is taken to stay in the cache. Whether a
    trajectory that is small enough stays there as well is not considered.
    """
    env = environment.make(config.env, config.env_params)
    return {
        "rollout": Cost(_rollout_flops(config, env), _row_bytes(config, Trajectory._fields)),
        "targets": Cost(_targets_flops(config), _targets_bytes(config)),
        "gradient": Cost(_gradient_flops(config), _gradient_bytes(config)),
        "further": _further_cost(config),
        "optimizer": _optimizer_cost(config),
    }


def _rollout_flops(config: Config, env: Environment) -> float:
    distribution, action, noise = _policy_shapes(config)
    sampling = counted(lambda d, noise: d.sample(noise), distribution, noise)
    keys = _key_shapes()
    stepping = counted(env.step, keys, jax.eval_shape(env.reset, keys)[1], action)
    return network_flops(config).policy.forward + sampling + stepping


def _targets_flops(config: Config) -> float:
    if config.baseline == "value":
        # In whole episodes there is one value to bootstrap from per lane: next to nothing.
        twice = config.bootstrap and config.rollout == "stream"
        values = network_flops(config).baseline.forward * (2 if twice else 1)
    else:
        values = _BASELINE_FLOPS[config.baseline]
    return values + _RETURN_FLOPS + _ADVANTAGE_FLOPS[config.advantage_norm]


def _gradient_flops(config: Config) -> float:
    networks = network_flops(config)
    distribution, action, _ = _policy_shapes(config)

    def loss(distribution: Any, action: Any, advantages: Any) -> Any:
        gain = jnp.sum(distribution.log_prob(action) * advantages)
        return -gain - jnp.sum(distribution.entropy())

    advantages = jax.ShapeDtypeStruct((ROWS,), jnp.float32)
    losses = counted(jax.value_and_grad(loss), distribution, action, advantages)
    flops = networks.policy.forward + losses + networks.policy.backward
    return flops + (_baseline_flops(config) if config.baseline == "value" else 0)


def _baseline_flops(config: Config) -> float:
    """Return the operations of the baseline's gradient, given its outputs."""
    baseline = network_flops(config).baseline
    return baseline.forward - baseline.output + _SQUARED_ERROR_FLOPS + baseline.backward


def _further_cost(config: Config) -> Cost:
    times = config.baseline_steps - 1
    if times == 0:
        return Cost(0, 0)
    num_bytes = _row_bytes(config, ["obs", "valid"]) + _FLOAT_BYTES  # returns
    flops = network_flops(config).baseline.forward + _baseline_flops(config)
    return Cost(times * flops, times * num_bytes)


def _optimizer_cost(config: Config) -> Cost:
    params = few_lanes(config)[1].params
    size = sum(x.size for x in jax.tree.leaves(params))
    return Cost(_OPTIMIZER_FLOPS * size, _OPTIMIZER_FLOATS * _FLOAT_BYTES * size)


def _targets_bytes(config: Config) -> float:
    read = ["reward", "terminated", "truncated", "valid"]
    if config.baseline == "value":
        read += ["obs", "next_obs"] if config.rollout == "stream" else ["obs"]
    return _row_bytes(config, read) + 3 * _FLOAT_BYTES  # returns, values, advantages


def _gradient_bytes(config: Config) -> float:
    floats = 3 if config.baseline == "value" else 1  # advantages, returns, values
    return _row_bytes(config, ["obs", "action", "valid"]) + floats * _FLOAT_BYTES


def _row_bytes(config: Config, names: Any) -> float:
    """Return the bytes per step of some fields of the trajectory."""
    trajectory = jax.eval_shape(collect, *few_lanes(config))[2]
    leaves = jax.tree.leaves([getattr(trajectory, name) for name in names])
    num_steps, num_envs = trajectory.valid.shape
    return sum(x.size * x.dtype.itemsize for x in leaves) / (num_steps * num_envs)


def _policy_shapes(config: Config) -> tuple[Any, Any, Any]:
    """Return shapes of the action distribution, actions and noise of ROWS lanes."""
    networks = make_networks(config)
    _, state = few_lanes(config)
    obs = jax.ShapeDtypeStruct((ROWS, *state.lanes.obs.shape[1:]), state.lanes.obs.dtype)
    distribution = jax.eval_shape(networks.distribution, state.params.policy, obs)
    noise = jax.eval_shape(jax.vmap(networks.policy.noise), _key_shapes())
    action = jax.eval_shape(lambda d, noise: d.sample(noise), distribution, noise)
    return distribution, action, noise


def _key_shapes() -> Any:
    return jax.eval_shape(lambda: jax.random.split(jax.random.key(0), ROWS))
