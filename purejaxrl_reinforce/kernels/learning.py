"""What learning takes from the kernels: returns and values, then both networks' gradients."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.algorithm.kernels.gradients import NetworkLoss, gradients_in_one_launch
from purejaxrl_reinforce.algorithm.kernels.lane_blocks import DEFAULT_TILING, Tiling
from purejaxrl_reinforce.algorithm.kernels.one_program import KernelEngine, summaries
from purejaxrl_reinforce.algorithm.kernels.targets import LaneMoments, targets_in_one_launch
from purejaxrl_reinforce.algorithm.networks.build import Params, make_networks
from purejaxrl_reinforce.algorithm.returns import BatchMoments, Moments, merged
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.config import Config


def targets_by_kernel(
    config: Config,
    params: Params,
    trajectory: Trajectory,
    engine: KernelEngine,
    axis: LaneAxis = ONE_DEVICE,
    tiling: Tiling = DEFAULT_TILING,
) -> tuple[Array, Array, BatchMoments | None]:
    """Return returns and values of the baseline network, [T, N], and moments of parts of the batch.

    These are None where values are not known yet: with a baseline of the lanes' own returns.
    """
    layers, inputs, trace_lambda = None, None, 1.0
    if config.baseline == "value":
        layers, inputs = make_networks(config).baseline_parts(params.baseline)
        trace_lambda = config.trace_lambda
    results = targets_in_one_launch(
        trajectory,
        layers,
        inputs,
        config.gamma,
        trace_lambda,
        tiling,
        interpret=engine == "interpret",
    )
    if config.baseline in ("mean", "loo"):
        return results.returns, results.values, None
    of_lanes = map(_about_means, (results.of_advantages, results.of_returns))
    lanes = (results.num_steps, *of_lanes)
    num_steps, of_advantages, of_returns = summaries(_of_several, lanes, axis)
    mean = of_advantages.origin + of_advantages.total / jnp.maximum(num_steps, 1)
    squares = jnp.where(num_steps > 0, of_advantages.squares + num_steps * mean**2, 0.0)
    about_one = None if config.advantage_norm == "none" else of_advantages
    moments = BatchMoments(num_steps, squares, of_advantages, of_returns, about_one)
    return results.returns, results.values, moments


def _about_means(moments: LaneMoments) -> Moments:
    return Moments(moments.mean, jnp.zeros_like(moments.mean), moments.squares)


def _of_several(lanes: tuple[Array, Moments, Moments]) -> tuple[Array, Moments, Moments]:
    counts, *moments = lanes
    of_advantages, of_returns = (merged(x, counts) for x in moments)
    # Without the barrier XLA adds up all lanes once more, apart from the rest.
    return lax.optimization_barrier(jnp.sum(counts)), of_advantages, of_returns


class KernelRows(NamedTuple):
    """What the losses need of each step beside its observation, [T, N, ...]."""

    action: Array
    advantages: Array
    returns: Array


def gradients_by_kernel(
    config: Config,
    params: Params,
    trajectory: Trajectory,
    rows: KernelRows,
    engine: KernelEngine,
    tiling: Tiling = DEFAULT_TILING,
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
        tiling,
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
