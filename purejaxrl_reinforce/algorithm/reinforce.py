"""REINFORCE with a baseline: init, step, train. The algorithm on one screen.

All functions are pure and compiled at their first call; they can be transformed further, mapped
over keys and over every float of the configuration, and differentiated with respect to nothing.
"""

import importlib
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm import evaluate, losses, normalization, rollout
from purejaxrl_reinforce.algorithm.blocks import any_lane
from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE, LaneAxis, checked_key, key_shape
from purejaxrl_reinforce.algorithm.losses import PolicyTerms, Targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients, init_optimizers
from purejaxrl_reinforce.algorithm.own_metrics import own_metrics
from purejaxrl_reinforce.algorithm.returns import BatchStatistics
from purejaxrl_reinforce.algorithm.rollout import Finished, Lanes, Trajectory
from purejaxrl_reinforce.algorithm.setup import Setup, jit, make_setup
from purejaxrl_reinforce.algorithm.state import (
    Metrics,
    TrainState,
    add_steps,
    all_finite,
    episode_metrics,
    new_or_old,
    no_metric,
    no_metrics,
    total_steps,
)
from purejaxrl_reinforce.config import Config

# Scaled rewards are clipped to this, or minus this.
LARGEST_REWARD = 10.0


class Engine(NamedTuple):
    """The three functions that take nearly all of an update's time: XLA's, or others like them."""

    play_batch: Callable[[Setup, Params, Lanes, Array], tuple[Lanes, Finished, Trajectory]]
    make_targets: Callable[[Setup, Params, Trajectory], tuple[Targets, BatchStatistics]]
    gradients: Callable[[Setup, Params, Trajectory, Targets, Array], tuple[Params, PolicyTerms]]


XLA = Engine(rollout.play_batch, losses.make_targets, losses.gradients)


def make_engine(setup: Setup) -> Engine:
    """Return the functions that play and learn: XLA's, unless `config.engine` asks for kernels.

    Raises:
        ValueError: it asks for kernels, and this machine has not the device that they need.
    """
    if setup.config.engine in ("xla", "auto"):
        return XLA
    kernels = importlib.import_module("purejaxrl_reinforce.kernels.engine")
    engine: Engine = kernels.make_engine(setup)
    return engine


@jit()
def init(config: Config, key: Array) -> TrainState:
    """Return the state before the first update.

    Args:
        config: of the training.
        key: a typed key, () (`jax.random.key`).

    Raises:
        ValueError: the environment is unknown or its spaces are not supported; this machine has
            not the device that the engine needs; the key is not one typed key of jax's default
            kind; or jax_enable_x64 is set.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, init
        >>> init(Config(num_envs=4), jax.random.key(0))
        TrainState(update 0, 0 steps, 835 parameters)
    """
    setup = make_setup(config)
    make_engine(setup)
    key_policy, key_baseline, key_lanes, key_train = jax.random.split(checked_key(key), 4)
    lanes = rollout.fresh_lanes(setup.env, ONE_DEVICE.keys(key_lanes, config.num_envs))
    params = setup.networks.init(key_policy, key_baseline, lanes.obs)
    if config.baseline != "value":
        params = params._replace(baseline=None)
    zero, no_steps = jnp.zeros((), jnp.int32), jnp.zeros(2, jnp.uint32)
    state = TrainState(params, init_optimizers(config, params), lanes, key_train, zero, no_steps)
    if config.stop_at is not None:
        state = state._replace(mean_return=no_metric())
    if not config.normalize_rewards:
        return state
    sums = jnp.zeros(config.num_envs)
    return state._replace(reward_moments=normalization.no_moments(()), reward_sums=sums)


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
    state is returned unchanged, and `Metrics.finite` is false. A further step would repeat it.

    Args:
        config: of the training.
        state: its lanes are those of this device; the rest of it is replicated over `axis`.
        axis: the device axis that lanes are sharded over.
        num_updates: after which annealed learning rates are zero, () int32. None: those of
            `config`; given here, they do not shape the program.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, init, step
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3)
        >>> state, metrics = step(config, init(config, jax.random.key(0)))
        >>> int(state.update)
        1
    """
    setup = make_setup(config, axis)
    engine, params = make_engine(setup), state.params
    key = jax.random.fold_in(state.key, state.update)
    lanes, finished, played = engine.play_batch(setup, params, state.lanes, key)
    trajectory, new = scale_rewards(setup, state, played)
    targets, statistics = engine.make_targets(setup, params, trajectory)
    num_steps = statistics.num_steps
    grads, policy = engine.gradients(setup, params, trajectory, targets, num_steps)
    new = apply_gradients(config, new, grads, num_updates)
    new = fit_baseline(setup, engine, new, trajectory, targets, num_steps, num_updates)
    new = new._replace(
        params=add_observations(setup, new.params, trajectory),
        lanes=lanes if rollout.carries_lanes(config) else state.lanes,
        update=state.update + 1,
        env_steps=add_steps(state.env_steps, num_steps),
    )
    learned = losses.learning_metrics(statistics, grads, policy)
    finite = all_finite((learned, new.params))
    new = new_or_old(finite, new, state)
    return new, Metrics(
        **episode_metrics(finished, axis),
        **learned,
        **losses.gradient_noise(setup, params, trajectory, targets, num_steps, grads.policy),
        eval_return=evaluate.greedy_return(setup, new),
        num_steps=num_steps,
        env_steps=total_steps(new.env_steps),
        finite=finite,
        own=own_metrics(setup, state, played),
    )


@jit()
def train(config: Config, key: Array) -> tuple[TrainState, Metrics]:
    """Train from scratch; return the final state and metrics of shape [num_updates].

    With `stop_at`, that is the state after the update that reached it; `Metrics` says what later
    rows are.

    Args:
        config: of the training.
        key: a typed key, () (`jax.random.key`), from which all randomness comes.

    Raises:
        ValueError: as `init`. Where numbers are no longer finite, nothing is raised: updates are
            not applied any more, and `metrics.finite` is false.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, train
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3)
        >>> state, metrics = train(config, jax.random.key(0))
        >>> metrics.mean_return.shape
        (3,)
    """
    return all_updates(config, init(config, key))


def all_updates(
    config: Config, state: TrainState, axis: LaneAxis = ONE_DEVICE
) -> tuple[TrainState, Metrics]:
    """Do `num_updates` steps; for `axis` see `step`."""
    return jax.lax.scan(
        lambda x, _: step_or_stay(config, x, axis), state, length=config.num_updates
    )


def step_or_stay(
    config: Config,
    state: TrainState,
    axis: LaneAxis = ONE_DEVICE,
    num_updates: Array | None = None,
) -> tuple[TrainState, Metrics]:
    """Do one `step`, but none after the update that reached `stop_at`."""
    if config.stop_at is None or state.mean_return is None:
        return step(config, state, axis, num_updates)
    goes_on = ~(state.mean_return >= config.stop_at)  # of NaN too: no episode has ended
    stays = state, no_metrics(jax.eval_shape(lambda: step(config, state, axis, num_updates)[1]))
    # Not mapped, the condition stays one: agents that are mapped over step until all have stopped.
    new, metrics = jax.lax.cond(
        any_lane(goes_on), lambda: step(config, state, axis, num_updates), lambda: stays
    )
    metrics = jax.tree.map(lambda x, y: jnp.where(goes_on, x, y), metrics, stays[1])
    reached = jnp.where(metrics.finite, metrics.mean_return, state.mean_return)
    return new_or_old(goes_on, new, state)._replace(mean_return=reached), metrics


def collect(
    config: Config, state: TrainState, axis: LaneAxis = ONE_DEVICE
) -> tuple[Lanes, Finished, Trajectory]:
    """Play the episodes of a `step`: lanes at its end, finished episodes and the trajectory."""
    setup, key = make_setup(config, axis), jax.random.fold_in(state.key, state.update)
    return make_engine(setup).play_batch(setup, state.params, state.lanes, key)


def fit_baseline(
    setup: Setup,
    engine: Engine,
    state: TrainState,
    trajectory: Trajectory,
    targets: Targets,
    num_steps: Array,
    num_updates: Array | None,
) -> TrainState:
    """Take the `baseline_steps` after the first, each a gradient step towards the same returns."""

    def baseline_step(state: TrainState, _: None) -> tuple[TrainState, None]:
        params = state.params._replace(policy=None)
        values = losses.values_of(setup, params, trajectory.obs, trajectory.valid)
        new = targets._replace(values=values)
        grads, _policy = engine.gradients(setup, params, trajectory, new, num_steps)
        return apply_gradients(setup.config, state, grads, num_updates), None

    if setup.config.baseline_steps == 1:
        return state
    return jax.lax.scan(baseline_step, state, length=setup.config.baseline_steps - 1)[0]


def add_observations(setup: Setup, params: Params, trajectory: Trajectory) -> Params:
    """Add the observations of the trajectory to the moments that the next update normalizes by."""
    if params.obs_moments is None:
        return params
    obs = trajectory.obs.astype(jnp.float32)
    moments = normalization.add_values(params.obs_moments, obs, trajectory.valid, setup.axis)
    return params._replace(obs_moments=moments)


def scale_rewards(
    setup: Setup, state: TrainState, trajectory: Trajectory
) -> tuple[Trajectory, TrainState]:
    """With `normalize_rewards`, divide rewards by the running deviation of the discounted return.

    The sum of an episode's rewards so far, each discounted by its age, stands for the return: it is
    known at each step, however long the episode.
    """
    config, valid = setup.config, trajectory.valid
    if state.reward_moments is None or state.reward_sums is None:
        return trajectory, state
    rewards = jnp.where(valid, trajectory.reward, 0.0)
    done = trajectory.terminated | trajectory.truncated

    def advance(total: Array, row: tuple[Array, ...]) -> tuple[Array, Array]:
        reward, valid, done = row
        total = jnp.where(valid, config.gamma * total + reward, total)
        return jnp.where(done, 0.0, total), total

    before = jnp.zeros_like(state.reward_sums) if config.reset_each_update else state.reward_sums
    sums, totals = jax.lax.scan(advance, before, (rewards, valid, done))
    moments = normalization.add_values(state.reward_moments, totals, valid, setup.axis)
    scaled = rewards * jax.lax.rsqrt(moments.var + normalization.VARIANCE_EPSILON)
    clipped = jnp.clip(scaled, -LARGEST_REWARD, LARGEST_REWARD)
    new = state._replace(reward_moments=moments, reward_sums=sums)
    return trajectory._replace(reward=clipped), new


def state_shapes(config: Config) -> TrainState:
    """Return the shapes and dtypes of `init(config, key)`, without computing or allocating it."""
    return jax.eval_shape(init, config, key_shape())


def trajectory_shapes(config: Config) -> Trajectory:
    """Return the shapes and dtypes of an update's trajectory, without computing it."""
    return jax.eval_shape(collect, config, state_shapes(config))[2]
