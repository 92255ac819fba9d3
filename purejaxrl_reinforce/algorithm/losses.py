"""Learning targets, and the gradients of the two losses, accumulated over blocks of rows."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.batching import (
    ONE_DEVICE,
    LaneAxis,
    fold_blocks,
    live_blocks,
    map_blocks,
    split_rows,
    tuning,
)
from purejaxrl_reinforce.algorithm.engine import learning_engine
from purejaxrl_reinforce.algorithm.kernels.learning import (
    KernelRows,
    gradients_by_kernel,
    targets_by_kernel,
)
from purejaxrl_reinforce.algorithm.kernels.one_program import KernelEngine
from purejaxrl_reinforce.algorithm.networks.build import Params, make_networks
from purejaxrl_reinforce.algorithm.packing import from_columns, pointwise, to_columns
from purejaxrl_reinforce.algorithm.returns import (
    batch_moments,
    discounted_returns,
    leave_one_out_baseline,
    mean_baseline,
    normalize,
)
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.config import Config


class Targets(NamedTuple):
    """Learning targets, [T, N]: returns G_t, baseline values b_t, normalized advantages.

    `statistics` (a `returns.Statistics`) are of the whole batch; a block of rows has None.
    """

    returns: Array
    values: Array
    advantages: Array
    statistics: Any


class PolicyTerms(NamedTuple):
    """The policy's loss and, a part of it, its entropy (nats): means over the valid steps, ()."""

    loss: Array
    entropy: Array


def make_targets(
    config: Config,
    params: Params,
    trajectory: Trajectory,
    axis: LaneAxis = ONE_DEVICE,
    engine: KernelEngine | None = None,
) -> Targets:
    """Return returns, baseline values and normalized advantages of a trajectory, [T, N].

    A step is followed by another of its episode where the next row is valid and the step ended
    nothing; everywhere else the return is cut. Without `bootstrap`, nothing follows a cut. Within
    an episode V(s_{t+1}) is the next row's value, so that a `trace_lambda` below 1 costs nothing.
    """
    engine = engine or learning_engine(config)
    valid, kind, moments = trajectory.valid, config.advantage_norm, None
    if engine == "xla":
        returns, values = _returns(config, params, trajectory)
    else:
        returns, values, moments = targets_by_kernel(config, params, trajectory, engine, axis)
    match config.baseline:
        case "mean":
            values = mean_baseline(returns, valid, axis)
        case "loo":
            values = leave_one_out_baseline(returns, valid, axis)
    advantages = jnp.where(valid, returns - values, 0.0)
    if moments is None:
        moments = batch_moments(advantages, returns, valid, kind)
    return Targets(returns, values, *normalize(advantages, valid, kind, moments, axis))


def _returns(config: Config, params: Params, trajectory: Trajectory) -> tuple[Array, Array]:
    """Return the returns and the values of the baseline network, 0 without one, [T, N]."""
    valid = trajectory.valid
    values = jnp.zeros_like(trajectory.reward)
    goes_on = _next_row(valid) & ~trajectory.truncated
    next_values = jnp.broadcast_to(_values_at_cuts(config, params, trajectory), valid.shape)
    traces = jnp.float32(goes_on)
    if config.baseline == "value":
        values = values_of(config, params, trajectory.obs, valid)
        next_values = jnp.where(goes_on, _next_row(values), next_values)
        traces *= config.trace_lambda
    returns = discounted_returns(
        rewards=zero_invalid(trajectory.reward, valid),
        discounts=config.gamma * (1.0 - trajectory.terminated),
        traces=traces,
        next_values=next_values,
        unroll=tuning(config).unroll_returns,
    )
    return zero_invalid(returns, valid), values


def _next_row(x: Array) -> Array:
    """Return x [T, N] one time step later; zeros after the last."""
    return jnp.concatenate([x[1:], jnp.zeros_like(x[:1])])


def values_of(config: Config, params: Params, obs: Array, valid: Array) -> Array:
    """Return V(s), [T, N], of observations [T, N, ...]; blocks without a valid step get 0."""
    networks = make_networks(config)
    blocks, whole = _row_blocks(config, (obs, valid))

    def values_of_block(block: Any) -> Array:
        obs, valid = whole(block)
        return networks.values(params.baseline, _zero_invalid(config, obs, valid))

    values = map_blocks(values_of_block, blocks, _num_live_blocks(config, valid))
    return values.reshape(-1)[: valid.size].reshape(valid.shape)


def gradients(
    config: Config,
    params: Params,
    trajectory: Trajectory,
    targets: Targets,
    axis: LaneAxis = ONE_DEVICE,
    engine: KernelEngine | None = None,
) -> tuple[Params, PolicyTerms]:
    """Return the gradients of both losses, each with respect to its own network.

        policy:   -mean_valid(log pi(a_t|s_t) A_t) - entropy_coef * mean_valid(entropy)
        baseline:  mean_valid((V(s_t) - G_t)^2)

    Targets are constants. Only the activations of one block of rows exist at a time.

    Args:
        config: its networks, `entropy_coef` and `block_rows`.
        params: of the networks. One whose parameters are None has no loss: 0.
        trajectory: what was played.
        targets: of the trajectory; `values` are V(s_t) at `params` already.
        axis: the device axis the lanes are sharded over.
        engine: what computes them; None: what `config` says.
    """
    engine = engine or learning_engine(config)
    count = jnp.maximum(targets.statistics.num_steps, 1)
    if engine != "xla":
        return _gradients_by_kernel(config, params, trajectory, targets, count, axis, engine)

    def add_block(total: Any, block: Any) -> Any:
        gradient = jax.grad(_losses, argnums=1, has_aux=True)
        return jax.tree.map(jnp.add, total, gradient(config, params, *whole(block), count))

    zeros = jax.tree.map(jnp.zeros_like, params), PolicyTerms(*jnp.zeros(2))
    played = trajectory._replace(next_obs=None), targets._replace(statistics=None)
    blocks, whole = _row_blocks(config, played)
    num_blocks = _num_live_blocks(config, trajectory.valid)
    return axis.sum(fold_blocks(add_block, zeros, blocks, num_blocks))


def _gradients_by_kernel(
    config: Config,
    params: Params,
    trajectory: Trajectory,
    targets: Targets,
    count: Array,
    axis: LaneAxis,
    engine: KernelEngine,
) -> tuple[Params, PolicyTerms]:
    rows = KernelRows(trajectory.action, targets.advantages, targets.returns)
    grads, gains, entropy = axis.sum(gradients_by_kernel(config, params, trajectory, rows, engine))
    grads, entropy = jax.tree.map(lambda x: x / count, (grads, entropy))
    return grads, PolicyTerms(-gains / count - config.entropy_coef * entropy, entropy)


def _losses(
    config: Config, params: Params, rows: Trajectory, targets: Targets, count: Array
) -> tuple[Array, PolicyTerms]:
    """Return what has both losses' gradients at some of `count` valid steps, and policy terms."""
    # Whatever stands in an invalid row, even a NaN, must reach neither the loss nor, through a
    # product with 0, its derivative.
    obs, action = (_zero_invalid(config, x, rows.valid) for x in (rows.obs, rows.action))
    rows = rows._replace(obs=obs, action=action)
    policy = policy_terms(config, params.policy, rows, targets, count)
    return policy.loss + _baseline_slope(config, params.baseline, rows, targets) / count, policy


def zero_invalid(x: Array, valid: Array) -> Array:
    """Return `x` [..., *shape] with zeros where `valid` [...] is false."""
    return jnp.where(valid.reshape(valid.shape + (1,) * (x.ndim - valid.ndim)), x, 0)


def _row_blocks(config: Config, tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return a tree [T, N, ...] in blocks of rows, and what makes a block a tree [rows, ...]."""
    sizes = tuning(config)
    if not sizes.packed:
        return split_rows(tree, sizes.block_rows), lambda block: block
    blocks = split_rows(to_columns(tree, axis=1), sizes.block_rows)
    return blocks, lambda block: from_columns(block, tree, axis=1)


def _num_live_blocks(config: Config, valid: Array) -> Array:
    return live_blocks(split_rows(valid, tuning(config).block_rows))


def _zero_invalid(config: Config, x: Array, valid: Array) -> Array:
    zero = functools.partial(jax.tree.map, lambda x: zero_invalid(x, valid))
    return pointwise(tuning(config).packed, zero, x)


def _values_at_cuts(config: Config, params: Params, trajectory: Trajectory) -> Array:
    """Return V(s_{t+1}), [T, N] or [1, N], where cut returns bootstrap from it; else zeros."""
    if not config.bootstrap:
        return jnp.zeros_like(trajectory.reward)
    assert trajectory.next_obs is not None
    once_per_lane = trajectory.next_obs.shape[0] == 1
    needed = jnp.ones_like(trajectory.valid[:1]) if once_per_lane else trajectory.valid
    return values_of(config, params, trajectory.next_obs, needed)


def policy_terms(
    config: Config, params: Any, rows: Trajectory, targets: Targets, count: Array
) -> PolicyTerms:
    """Return the part of some rows in the policy's loss, which is over `count` valid steps."""
    if params is None:
        return PolicyTerms(jnp.float32(0), jnp.float32(0))
    distribution = make_networks(config).distribution(params, rows.obs)
    entropy = jnp.sum(distribution.entropy(), where=rows.valid) / count
    gains = jnp.sum(distribution.log_prob(rows.action) * targets.advantages, where=rows.valid)
    return PolicyTerms(-gains / count - config.entropy_coef * entropy, entropy)


def _baseline_slope(config: Config, params: Any, rows: Trajectory, targets: Targets) -> Array:
    """Return what has the derivative of the summed (V(s_t) - G_t)^2 with respect to `params`.

    With V(s_t) known, the derivative takes the network's hidden layers, but not its output.
    """
    if params is None:
        return jnp.float32(0)
    slope = 2 * (targets.values - targets.returns)
    return jnp.sum(slope * make_networks(config).values(params, rows.obs), where=rows.valid)
