"""The noise of the policy gradient: how far it would differ from batch to batch."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from purejaxrl_reinforce.algorithm.batching import LaneAxis, tuning
from purejaxrl_reinforce.algorithm.losses import Targets, policy_terms, zero_invalid
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.config import Config


class GradientNoise(NamedTuple):
    """Variance of the policy gradient, and its signal-to-noise ratio, (); NaN if not measured."""

    gradient_variance: Array
    gradient_snr: Array


def gradient_noise(
    config: Config,
    policy_params: Any,
    trajectory: Trajectory,
    targets: Targets,
    gradient: Any,
    axis: LaneAxis,
) -> GradientNoise:
    """Estimate from the lanes, which are independent, how much their sum varies.

    With g_n the part of lane n in the gradient g = sum_n g_n of N lanes,

        variance = N / (N - 1) * (sum_n |g_n|^2 - |g|^2 / N)
        snr      = (|g|^2 - variance) / variance

    Both are unbiased, numerator and denominator of the snr each: so the snr can be negative. What
    couples the lanes (normalized advantages, baselines made of the other lanes, the number of
    valid steps) is taken as constant. Takes one more gradient of the policy, of all T steps; lanes
    go in blocks of at most `block_rows` rows, and only the squared norms are kept.

    Args:
        config: its networks, `entropy_coef` and `block_rows`.
        policy_params: that the trajectory was played with.
        trajectory: of the update.
        targets: of the trajectory.
        gradient: g, of all lanes on all devices.
        axis: the device axis the lanes are sharded over.
    """
    if not config.gradient_noise:
        return GradientNoise(jnp.float32(jnp.nan), jnp.float32(jnp.nan))
    squares = jnp.sum(_squared_norms(config, policy_params, trajectory, targets))
    squares, number = axis.sum((squares, jnp.float32(trajectory.valid.shape[1])))
    whole = optax.tree.norm(gradient, squared=True)
    variance = number / (number - 1) * (squares - whole / number)
    return GradientNoise(variance, (whole - variance) / variance)


def _squared_norms(
    config: Config, policy_params: Any, trajectory: Trajectory, targets: Targets
) -> Array:
    """Return the squared norm of each lane's part in the gradient, [N]."""
    count = jnp.maximum(targets.statistics.num_steps, 1)
    num_steps, num_lanes = trajectory.valid.shape

    def squared_norm(lane: tuple[Trajectory, Targets]) -> Array:
        rows, targets = lane
        obs, action = (zero_invalid(x, rows.valid) for x in (rows.obs, rows.action))
        rows = rows._replace(obs=obs, action=action)
        grad = jax.grad(lambda p: policy_terms(config, p, rows, targets, count).loss)(policy_params)
        return jnp.asarray(optax.tree.norm(grad, squared=True))

    per_step = trajectory._replace(next_obs=None), targets._replace(statistics=None)
    lanes = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), per_step)
    at_once = min(max(tuning(config).block_rows // num_steps, 1), num_lanes)
    norms: Array = jax.lax.map(squared_norm, lanes, batch_size=at_once)
    return norms
