"""REINFORCE with a baseline: init, step, train. The algorithm on one screen.

All functions are pure and compiled at their first call; they can be transformed further, mapped
over keys and over every float of the configuration, and differentiated with respect to nothing.
"""

import functools
from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

from purejaxrl_reinforce.algorithm import environment
from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE, LaneAxis, block_sizes
from purejaxrl_reinforce.algorithm.environment import Environment
from purejaxrl_reinforce.algorithm.losses import (
    Batch,
    PolicyTerms,
    Targets,
    gradients,
    make_targets,
    values_of,
)
from purejaxrl_reinforce.algorithm.networks import Networks, Params, make_networks
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients, make_optimizer
from purejaxrl_reinforce.algorithm.returns import explained_variance, mean
from purejaxrl_reinforce.algorithm.rollout import (
    FinishedEpisodes,
    Lanes,
    Rollout,
    Trajectory,
    Use,
    fresh_lanes,
    keys_for,
    record,
)
from purejaxrl_reinforce.algorithm.state import (
    Metrics,
    TrainState,
    add_steps,
    episode_metrics,
    total_steps,
)
from purejaxrl_reinforce.config import Config


@jax.jit
def init(config: Config, key: Array) -> TrainState:
    """Return the state before the first update.

    Args:
        config: what to train.
        key: a typed key, () (`jax.random.key`).

    Raises:
        ValueError: the environment is unknown or its spaces are not supported.
    """
    env, networks = _build(config)
    key_policy, key_baseline, key_lanes, key_train = jax.random.split(key, 4)
    lanes = fresh_lanes(env, ONE_DEVICE.keys(key_lanes, config.num_envs))
    has_network = config.baseline == "value"
    params = Params(
        policy=networks.policy.init(key_policy, lanes.obs),
        baseline=networks.baseline.init(key_baseline, lanes.obs) if has_network else None,
    )
    opt_state = Params(
        policy=make_optimizer(config, config.policy_lr).init(params.policy),
        baseline=make_optimizer(config, config.baseline_lr).init(params.baseline),
    )
    zero = jnp.zeros((), jnp.int32)
    return TrainState(params, opt_state, lanes, key_train, zero, jnp.zeros(2, jnp.uint32))


@functools.partial(jax.jit, static_argnames="axis")
def step(
    config: Config, state: TrainState, axis: LaneAxis = ONE_DEVICE
) -> tuple[TrainState, Metrics]:
    """Do one update: play, learn, report.

    An update in which a loss, a gradient or a new parameter is not finite is not applied: the
    state comes back unchanged, and `Metrics.finite` is false. Since its randomness is a function
    of the state, any further step repeats that update: training stands still at its last finite
    parameters.

    Args:
        config: what to train.
        state: its lanes are those of this device.
        axis: what the lanes are shared out over; all else in the state is the same everywhere.
    """
    lanes, finished, trajectory = collect(config, state, axis)
    num_steps = axis.sum(jnp.sum(trajectory.valid))
    learned, learning_metrics = learn(config, state, trajectory, axis)
    new_state = learned._replace(lanes=lanes, env_steps=add_steps(state.env_steps, num_steps))

    finite = _all_finite((learning_metrics, new_state.params))
    # The key stays out of the choice: choosing would use it a second time.
    key, new, old = state.key, *(s._replace(key=jnp.empty(0)) for s in (new_state, state))
    state = jax.lax.cond(finite, lambda: new, lambda: old)._replace(key=key)
    metrics = Metrics(
        **episode_metrics(finished, axis),
        **learning_metrics,
        num_steps=num_steps,
        env_steps=total_steps(state.env_steps),
        finite=finite,
    )
    return state, metrics


@jax.jit
def train(config: Config, key: Array) -> tuple[TrainState, Metrics]:
    """Train from scratch; return the final state and metrics of shape [num_updates]."""
    return jax.lax.scan(
        lambda state, _: step(config, state), init(config, key), length=config.num_updates
    )


def make_train(config: Config) -> Callable[[Array], tuple[TrainState, Metrics]]:
    """Return `train` with `config` bound: a function of the key alone."""
    return functools.partial(train, config)


def collect(
    config: Config, state: TrainState, axis: LaneAxis = ONE_DEVICE
) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
    """Play the batch of one update: up to T steps in each of the state's N lanes."""
    env, networks = _build(config)
    lanes = state.lanes
    keys = axis.keys(jax.random.fold_in(state.key, state.update), lanes.alive.shape[0])
    if config.rollout == "episodes" or config.reset_each_update:
        lanes = fresh_lanes(env, keys_for(keys, Use.START))
    rollout = Rollout(
        env=env,
        act=lambda obs, noise: networks.distribution(state.params.policy, obs).sample(noise),
        noise=networks.policy.noise,
        num_steps=steps_per_update(config, env),
        block_sizes=block_sizes(config),
        auto_reset=config.rollout == "stream",
        record_next_obs=config.bootstrap,
    )
    return record(rollout, lanes, keys)


def learn(
    config: Config, state: TrainState, trajectory: Trajectory, axis: LaneAxis = ONE_DEVICE
) -> tuple[TrainState, dict[str, Array]]:
    """Update both networks from a trajectory; return the state and the metrics of learning.

    Both gradients use the parameters from before the update. With `baseline_steps` above 1, the
    baseline network then takes further steps on the same returns.

    Args:
        config: how to learn; T and N are the trajectory's own.
        state: its parameters, optimizer states and update counter are used and replaced.
        trajectory: [T, N] steps, T and N of any length.
        axis: what the lanes are shared out over.
    """
    chex.assert_tree_shape_prefix(trajectory._replace(next_obs=None), trajectory.valid.shape)
    _, networks = _build(config)
    goal = make_targets(config, networks, state.params, trajectory, axis)

    def baseline_step(state: TrainState, _: None) -> tuple[TrainState, None]:
        values = values_of(config, networks, state.params, trajectory.obs, trajectory.valid)
        only_baseline = Params(None, state.params.baseline)
        grads, _unused = gradient(
            config, only_baseline, trajectory, goal._replace(values=values), axis
        )
        return descend(config, state, grads), None

    grads, policy = gradient(config, state.params, trajectory, goal, axis)
    learned = descend(config, state, grads)
    if config.baseline_steps > 1:
        learned, _ = jax.lax.scan(baseline_step, learned, length=config.baseline_steps - 1)
    return learned._replace(update=state.update + 1), {
        "policy_loss": policy.loss,
        "baseline_loss": mean((goal.values - goal.returns) ** 2, trajectory.valid, axis),
        "entropy": policy.entropy,
        "policy_grad_norm": optax.tree.norm(grads.policy),
        "baseline_grad_norm": optax.tree.norm(grads.baseline),
        "explained_variance": explained_variance(goal.returns, goal.values, trajectory.valid, axis),
    }


def gradient(
    config: Config, params: Params, trajectory: Trajectory, goal: Targets, axis: LaneAxis
) -> tuple[Params, PolicyTerms]:
    """Return the gradients of both losses and the policy's terms; `goal.values` are of `params`."""
    batch = Batch(
        trajectory.obs,
        trajectory.action,
        trajectory.valid,
        goal.advantages,
        goal.returns,
        goal.values,
    )
    _, networks = _build(config)
    return gradients(
        networks, params, batch, config.entropy_coef, block_sizes(config).block_rows, axis
    )


def descend(config: Config, state: TrainState, grads: Params) -> TrainState:
    """Take one optimizer step in each network that has a gradient."""
    remaining = 1 - state.update / config.num_updates if config.anneal else 1.0
    networks = [
        (params, opt_state)
        if grad is None
        else apply_gradients(config, learning_rate * remaining, params, opt_state, grad)
        for learning_rate, params, opt_state, grad in zip(
            (config.policy_lr, config.baseline_lr),
            state.params,
            state.opt_state,
            grads,
            strict=True,
        )
    ]
    params, opt_states = zip(*networks, strict=True)
    return state._replace(params=Params(*params), opt_state=Params(*opt_states))


def state_shapes(config: Config) -> TrainState:
    """Return the shapes and dtypes of `init(config, key)`, without computing or allocating it."""
    return jax.eval_shape(init, config, jax.eval_shape(lambda: jax.random.key(0)))


def steps_per_update(config: Config, env: Environment) -> int:
    """Return T, the most time steps that a lane takes in an update."""
    if config.num_steps is None:
        return env.time_limit
    return config.num_steps if config.rollout == "stream" else min(config.num_steps, env.time_limit)


def _build(config: Config) -> tuple[Environment, Networks]:
    env = environment.make(config.env)
    return env, make_networks(config, env)


def _all_finite(tree: Any) -> Array:
    return jnp.all(jnp.isfinite(ravel_pytree(tree)[0]))
