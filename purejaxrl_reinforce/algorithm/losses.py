"""Learning targets, and the gradients of the two losses, accumulated over blocks of rows."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from purejaxrl_reinforce.algorithm.blocks import fold_blocks, live_blocks, split_rows
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.returns import (
    BASELINES,
    BatchStatistics,
    batch_statistics,
    lambda_returns,
    normalize,
)
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.setup import Setup
from purejaxrl_reinforce.algorithm.state import no_metric


class Targets(NamedTuple):
    """Learning targets, [T, N]: returns G_t, baseline values b_t, normalized advantages."""

    returns: Array
    values: Array
    advantages: Array


class PolicyTerms(NamedTuple):
    """The policy's loss and, a part of it, its entropy (nats): means over the valid steps, ()."""

    loss: Array
    entropy: Array


def make_targets(
    setup: Setup, params: Params, trajectory: Trajectory
) -> tuple[Targets, BatchStatistics]:
    """Return returns, baseline values and normalized advantages of a trajectory, [T, N].

    A step is followed by another of its episode where the next row is valid and the step ended
    nothing; everywhere else the return is cut. Without `bootstrap`, nothing follows a cut. Within
    an episode V(s_{t+1}) is the next row's value, so that a `trace_lambda` below 1 costs nothing.
    """
    config, valid = setup.config, trajectory.valid
    values = jnp.zeros_like(trajectory.reward)
    goes_on = _next_row(valid) & ~trajectory.truncated
    next_values = jnp.broadcast_to(_values_at_cuts(setup, params, trajectory), valid.shape)
    lambdas = jnp.float32(goes_on)
    if config.baseline == "value":
        values = values_of(setup, params, trajectory.obs, valid)
        next_values = jnp.where(goes_on, _next_row(values), next_values)
        lambdas *= config.trace_lambda
    returns = lambda_returns(
        rewards=zero_invalid(trajectory.reward, valid),
        discounts=config.gamma * (1.0 - trajectory.terminated),
        lambdas=lambdas,
        next_values=next_values,
        unroll=setup.tuning.unroll_returns,
    )
    return targets_from(setup, zero_invalid(returns, valid), values, valid)


def targets_from(
    setup: Setup, returns: Array, values: Array, valid: Array
) -> tuple[Targets, BatchStatistics]:
    """Return targets from returns and the values of the baseline network, 0 without one, [T, N]."""
    config, axis = setup.config, setup.axis
    if config.baseline in BASELINES:
        values = BASELINES[config.baseline](returns, valid, axis)
    advantages = zero_invalid(returns - values, valid)
    statistics = batch_statistics(advantages, returns, valid, config.advantage_norm, axis)
    advantages = normalize(advantages, valid, config.advantage_norm, statistics)
    return Targets(returns, values, advantages), statistics


def _next_row(x: Array) -> Array:
    """Return x [T, N] one time step later; zeros after the last."""
    return jnp.concatenate([x[1:], jnp.zeros_like(x[:1])])


def _values_at_cuts(setup: Setup, params: Params, trajectory: Trajectory) -> Array:
    """Return V(s_{t+1}), [T, N] or [1, N], where cut returns bootstrap from it; else zeros."""
    if not setup.config.bootstrap:
        return jnp.zeros_like(trajectory.reward)
    assert trajectory.next_obs is not None
    once_per_lane = trajectory.next_obs.shape[0] == 1
    needed = jnp.ones_like(trajectory.valid[:1]) if once_per_lane else trajectory.valid
    return values_of(setup, params, trajectory.next_obs, needed)


def values_of(setup: Setup, params: Params, obs: Array, valid: Array) -> Array:
    """Return V(s), [T, N], of observations [T, N, ...]; blocks without a valid step get 0."""

    def set_block(values: Array, block: tuple[Array, Array], i: Array) -> Array:
        return values.at[i].set(setup.networks.values(params, zero_invalid(*block)))

    blocks = split_rows((obs, valid), setup.tuning.block_rows)
    values = fold_blocks(set_block, jnp.zeros(blocks[1].shape), blocks, live_blocks(blocks[1]))
    return values.reshape(-1)[: valid.size].reshape(valid.shape)


def gradients(
    setup: Setup, params: Params, trajectory: Trajectory, targets: Targets, num_steps: Array
) -> tuple[Params, PolicyTerms]:
    """Return the gradients of both losses, each with respect to its own network.

        policy:   -mean_valid(log pi(a_t|s_t) A_t) - entropy_coef * mean_valid(entropy)
        baseline:  mean_valid((V(s_t) - G_t)^2)

    A shared network has one gradient, the policy's: the gradient of the first loss plus
    `baseline_coef` times the second.
    Targets are constants; their `values` are V(s_t) at `params`. A network whose parameters are
    None has no loss. `num_steps` counts the valid steps on all devices. Only the activations of one
    block of rows exist at a time.
    """
    count = jnp.maximum(num_steps, 1)

    def losses(learned: Params, block: tuple[Trajectory, Targets]) -> tuple[Array, PolicyTerms]:
        return _losses(setup, learned._replace(obs_moments=params.obs_moments), *block, count)

    def add_block(total: Any, block: tuple[Trajectory, Targets], _: Array) -> Any:
        return jax.tree.map(jnp.add, total, jax.grad(losses, has_aux=True)(learned, block))

    learned = params._replace(obs_moments=None)
    zeros = jax.tree.map(jnp.zeros_like, learned), PolicyTerms(*jnp.zeros(2))
    rows = trajectory._replace(next_obs=None)
    blocks = split_rows((rows, targets), setup.tuning.block_rows)
    return setup.axis.sum(fold_blocks(add_block, zeros, blocks, live_blocks(blocks[0].valid)))


def _losses(
    setup: Setup, params: Params, rows: Trajectory, targets: Targets, count: Array
) -> tuple[Array, PolicyTerms]:
    """Return an objective with both losses' gradients at some of `count` valid steps, and terms."""
    rows = without_invalid(rows)
    policy = policy_terms(setup, params, rows, targets, count)
    if params.baseline is None:
        return policy.loss, policy
    # With V(s_t) known, the derivative of (V - G)^2 takes the hidden layers, but not the output.
    slope = 2 * (targets.values - targets.returns)
    values = setup.networks.values(params, rows.obs)
    baseline = jnp.sum(slope * values, where=rows.valid) / count
    if setup.networks.baseline is None:
        baseline *= setup.config.baseline_coef
    return policy.loss + baseline, policy


def policy_terms(
    setup: Setup, params: Params, rows: Trajectory, targets: Targets, count: Array
) -> PolicyTerms:
    """Return the part of some rows in the policy's loss, which is over `count` valid steps."""
    if params.policy is None:
        return PolicyTerms(jnp.float32(0), jnp.float32(0))
    distribution = setup.networks.distribution(params, rows.obs)
    entropy = jnp.sum(distribution.entropy(), where=rows.valid) / count
    gains = jnp.sum(distribution.log_prob(rows.action) * targets.advantages, where=rows.valid)
    return PolicyTerms(-gains / count - setup.config.entropy_coef * entropy, entropy)


def zero_invalid(x: Array, valid: Array) -> Array:
    """Return `x` [..., *shape] with zeros where `valid` [...] is false."""
    return jnp.where(valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim)), x, 0)


def without_invalid(rows: Trajectory) -> Trajectory:
    """Return rows with zeros in the invalid ones: a NaN times 0 would reach a loss's derivative."""
    obs, action = (zero_invalid(x, rows.valid) for x in (rows.obs, rows.action))
    return rows._replace(obs=obs, action=action)


def learning_metrics(
    statistics: BatchStatistics, grads: Params, policy: PolicyTerms
) -> dict[str, Array]:
    """Return the fields of `Metrics` that describe learning."""
    return {
        "policy_loss": policy.loss,
        "baseline_loss": statistics.baseline_loss,
        "entropy": policy.entropy,
        "policy_grad_norm": optax.tree.norm(grads.policy),
        "baseline_grad_norm": optax.tree.norm(grads.baseline),
        "explained_variance": statistics.explained_variance,
    }


def gradient_noise(
    setup: Setup,
    params: Params,
    trajectory: Trajectory,
    targets: Targets,
    num_steps: Array,
    gradient: Any,
) -> dict[str, Array]:
    """Estimate from the lanes, which are independent, how much their sum varies; NaN if not asked.

    With g_n the part of lane n in the policy's gradient g = sum_n g_n of N lanes,

        variance = N / (N - 1) * (sum_n |g_n|^2 - |g|^2 / N)
        snr      = (|g|^2 - variance) / variance

    Both are unbiased, numerator and denominator of the snr each: so the snr can be negative. What
    couples the lanes (normalized advantages, baselines made of the other lanes, the number of
    valid steps) is taken as constant. Lanes go in blocks of at most `block_rows` rows.
    """
    if not setup.config.gradient_noise:
        return {"gradient_variance": no_metric(), "gradient_snr": no_metric()}
    count = jnp.maximum(num_steps, 1)

    def squared_norm(lane: tuple[Trajectory, Targets]) -> Array:
        def loss(policy: Any) -> Array:
            own = params._replace(policy=policy)
            return policy_terms(setup, own, without_invalid(lane[0]), lane[1], count).loss

        return jnp.asarray(optax.tree.norm(jax.grad(loss)(params.policy), squared=True))

    rows = trajectory._replace(next_obs=None)
    lanes = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), (rows, targets))
    num_rows, num_lanes = trajectory.valid.shape
    at_once = min(max(setup.tuning.block_rows // num_rows, 1), num_lanes)
    squares = jnp.sum(jax.lax.map(squared_norm, lanes, batch_size=at_once))
    squares, number = setup.axis.sum((squares, jnp.float32(num_lanes)))
    whole = optax.tree.norm(gradient, squared=True)
    variance = number / (number - 1) * (squares - whole / number)
    snr = (whole - variance) / jnp.where(variance != 0, variance, 1.0)
    snr = jnp.where(variance != 0, snr, no_metric())
    return {"gradient_variance": variance, "gradient_snr": snr}
