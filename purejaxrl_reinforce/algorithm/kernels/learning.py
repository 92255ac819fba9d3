"""What learning takes from the kernels: returns and values, then both networks' gradients."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.kernels.gradients import NetworkLoss, gradients_in_one_launch
from purejaxrl_reinforce.algorithm.kernels.targets import LaneMoments, targets_in_one_launch
from purejaxrl_reinforce.algorithm.networks.build import Params, make_networks
from purejaxrl_reinforce.algorithm.returns import BatchMoments, Moments, merged
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.config import Config

# "interpret" runs a kernel step by step on any device, slowly.
LearningEngine = Literal["xla", "kernel", "interpret"]


def targets_by_kernel(
    config: Config, params: Params, trajectory: Trajectory, engine: LearningEngine
) -> tuple[Array, Array, BatchMoments | None]:
    """Return returns and values of the baseline network, [T, N], and the moments of the batch.

    These are None where values are not known yet: with a baseline of the lanes' own returns.
    """
    layers, inputs, trace_lambda = None, None, 1.0
    if config.baseline == "value":
        layers, inputs = make_networks(config).baseline_parts(params.baseline)
        trace_lambda = config.trace_lambda
    lanes = targets_in_one_launch(
        trajectory, layers, inputs, config.gamma, trace_lambda, interpret=engine == "interpret"
    )
    if config.baseline in ("mean", "loo"):
        return lanes.returns, lanes.values, None
    of_advantages, of_returns = (
        _of_all_lanes(x, lanes.num_steps) for x in (lanes.of_advantages, lanes.of_returns)
    )
    num_steps = jnp.sum(lanes.num_steps)
    mean = of_advantages.origin + of_advantages.total / jnp.maximum(num_steps, 1)
    squares = of_advantages.squares + num_steps * mean**2
    about_one = None if config.advantage_norm == "none" else of_advantages
    moments = BatchMoments(num_steps, squares, of_advantages, of_returns, about_one)
    return lanes.returns, lanes.values, moments


def _of_all_lanes(moments: LaneMoments, counts: Array) -> Moments:
    # The largest mean is the origin: in a constant batch all means are exactly the same.
    origins = jnp.where(counts > 0, moments.mean, -jnp.inf)
    return merged(Moments(origins, jnp.zeros_like(origins), moments.squares), counts)


class KernelRows(NamedTuple):
    """What the losses need of each step beside its observation, [T, N, ...]."""

    action: Array
    advantages: Array
    returns: Array


def gradients_by_kernel(
    config: Config, params: Params, trajectory: Trajectory, rows: KernelRows, engine: LearningEngine
) -> tuple[Params, Array, Array]:
    """Return sums over the valid steps that are here: gradients, log pi(a|s) A, and entropy.

    A network whose parameters are None has no loss: 0.
    """
    losses: dict[str, tuple[NetworkLoss, Any]] = {}
    if params.policy is not None:
        losses["policy"] = _policy_loss(config, params.policy)
    if params.baseline is not None:
        losses["baseline"] = _baseline_loss(config, params.baseline)
    sums = gradients_in_one_launch(
        [loss for loss, _ in losses.values()],
        rows,
        trajectory.obs,
        trajectory.valid,
        interpret=engine == "interpret",
    )
    grads, further = {}, (jnp.float32(0), jnp.float32(0))
    for (name, (_, to_params)), x in zip(losses.items(), sums, strict=True):
        (grads[name],) = to_params((x.layers, x.others))
        further = x.further or further
    return Params(grads.get("policy"), grads.get("baseline")), *further


def _policy_loss(config: Config, params: Any) -> tuple[NetworkLoss, Any]:
    """Return the loss, and what makes gradients of `params` from those of layers and others."""
    networks = make_networks(config)

    def parts_of(params: Any) -> Any:
        parts = networks.policy_parts(params)
        return parts.layers, parts.others

    parts = networks.policy_parts(params)

    def loss(outputs: Array, others: Any, row: KernelRows) -> tuple[Array, tuple[Array, Array]]:
        distribution = parts.distribution(outputs, others)
        gain = distribution.log_prob(row.action)[0] * row.advantages[0]
        entropy = distribution.entropy()[0]
        return -gain - config.entropy_coef * entropy, (gain, entropy)

    terms = jax.grad(loss, argnums=(0, 1), has_aux=True)
    layers, inputs, others, _ = parts
    return NetworkLoss(layers, inputs, terms, others), jax.vjp(parts_of, params)[1]


def _baseline_loss(config: Config, params: Any) -> tuple[NetworkLoss, Any]:
    networks = make_networks(config)

    def parts_of(params: Any) -> Any:
        return networks.baseline_parts(params)[0], ()

    def terms(values: Array, others: Any, row: KernelRows) -> Any:
        return (2 * (values - row.returns[:, None]), others), ()

    layers, inputs = networks.baseline_parts(params)
    return NetworkLoss(layers, inputs, terms), jax.vjp(parts_of, params)[1]
