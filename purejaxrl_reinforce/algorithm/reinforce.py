"""REINFORCE with a baseline: init, step, train. The algorithm on one screen.

All functions are pure and compiled at their first call; they can be transformed further, mapped
over keys and over every float of the configuration, and differentiated with respect to nothing.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.algorithm.engine import chosen_engine, learning_engine
from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.evaluate import greedy_return
from purejaxrl_reinforce.algorithm.fit_baseline import fit_baseline
from purejaxrl_reinforce.algorithm.gradient_noise import gradient_noise
from purejaxrl_reinforce.algorithm.jit import jit
from purejaxrl_reinforce.algorithm.kernels.rollout import record_in_one_launch
from purejaxrl_reinforce.algorithm.keys import checked_key, key_shape
from purejaxrl_reinforce.algorithm.losses import gradients, make_targets
from purejaxrl_reinforce.algorithm.networks.build import Params, make_networks
from purejaxrl_reinforce.algorithm.normalization import add_observations, scale_rewards
from purejaxrl_reinforce.algorithm.obs_normalizer import no_moments
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients, init_optimizers
from purejaxrl_reinforce.algorithm.rollout import (
    FinishedEpisodes,
    Lanes,
    Trajectory,
    Use,
    fresh_lanes,
    keys_for,
    make_rollout,
    record,
)
from purejaxrl_reinforce.algorithm.state import (
    Metrics,
    TrainState,
    add_steps,
    conclude,
)
from purejaxrl_reinforce.config import Config


@jit()
def init(config: Config, key: Array) -> TrainState:
    """Return the state before the first update.

    Args:
        config: what to train.
        key: a typed key, () (`jax.random.key`).

    Raises:
        ValueError: the environment is unknown or its spaces are not supported; this machine has
            not the device that the engine needs; the key is not one typed key of jax's default
            kind; or jax_enable_x64 is set.
    """
    chosen_engine(config)
    networks, env = make_networks(config), environment.make(config.env, config.env_params)
    key_policy, key_baseline, key_lanes, key_train = jax.random.split(checked_key(key), 4)
    lanes = fresh_lanes(env, ONE_DEVICE.keys(key_lanes, config.num_envs))
    has_network = config.baseline == "value"
    params = Params(
        policy=networks.policy.init(key_policy, lanes.obs),
        baseline=networks.baseline.init(key_baseline, lanes.obs) if has_network else None,
    )
    zero, no_steps = jnp.zeros((), jnp.int32), jnp.zeros(2, jnp.uint32)
    state = TrainState(params, init_optimizers(config, params), lanes, key_train, zero, no_steps)
    if not config.normalize_rewards:
        return state
    sums = jnp.zeros(config.num_envs)
    return state._replace(reward_moments=no_moments(()), reward_sums=sums)


@jit("axis")
def step(
    config: Config,
    state: TrainState,
    axis: LaneAxis = ONE_DEVICE,
    num_updates: Array | None = None,
) -> tuple[TrainState, Metrics]:
    """Do one update: play, learn, report.

    Both gradients use the parameters from before the update. With `baseline_steps` above 1, the
    baseline network then takes further steps on the same returns.

    An update in which a loss, a gradient or a new parameter is not finite is not applied: the
    state comes back unchanged, and `Metrics.finite` is false. Any further step repeats that
    update, whose randomness is a function of the state.

    Args:
        config: what to train.
        state: its lanes are those of this device.
        axis: the device axis the lanes are sharded over; the rest of the state is replicated.
        num_updates: after which annealed learning rates are zero, () int32. None: those of
            `config`; given here, they do not shape the program.
    """
    lanes, finished, played = collect(config, state, axis)
    trajectory, new = scale_rewards(config, state, played, axis)
    targets = make_targets(config, state.params, trajectory, axis)
    grads, policy = gradients(config, state.params, trajectory, targets, axis)
    new = apply_gradients(config, new, grads, num_updates)
    new = fit_baseline(config, new, trajectory, targets, axis, num_updates)
    new = new._replace(
        params=add_observations(new.params, state.params, trajectory, axis),
        lanes=lanes if carries_lanes(config) else state.lanes,
        update=state.update + 1,
        env_steps=add_steps(state.env_steps, targets.statistics.num_steps),
    )
    noise = gradient_noise(config, state.params.policy, trajectory, targets, grads.policy, axis)
    learned = targets.statistics, grads, policy
    state, metrics = conclude(learning_engine(config), state, new, finished, learned, axis)
    return state, Metrics(**metrics, **noise._asdict(), eval_return=greedy_return(config, state))


@jit()
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
    rollout, num_lanes = make_rollout(config, state.params.policy), state.lanes.alive.shape[0]
    key = jax.random.fold_in(state.key, state.update)
    engine = chosen_engine(config)
    if engine != "xla":
        policy = make_networks(config).policy_parts(state.params.policy)
        lanes = state.lanes if carries_lanes(config) else None
        interpret = engine == "interpret"
        return record_in_one_launch(
            rollout, lanes, key, num_lanes, policy, axis, interpret=interpret
        )
    keys = axis.keys(key, num_lanes)
    if carries_lanes(config):
        return record(rollout, state.lanes, keys)
    return record(rollout, fresh_lanes(rollout.env, keys_for(keys, Use.START)), keys)


def carries_lanes(config: Config) -> bool:
    """Return whether an update plays on where the last one ended."""
    return config.rollout == "stream" and not config.reset_each_update


def state_shapes(config: Config) -> TrainState:
    """Return the shapes and dtypes of `init(config, key)`, without computing or allocating it."""
    return jax.eval_shape(init, config, key_shape())
