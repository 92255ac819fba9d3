"""Rollouts: lanes, trajectories, and the compiled loop that plays many episodes side by side.

T is the number of time steps, N of lanes. Two kinds of rollout share one loop body. In `episodes`
every lane plays one episode and is then masked out; in `stream` a lane that is done starts again.
Lanes are played in groups, one group after the other; each stops early, between blocks of
time steps, once none of its lanes is alive.
"""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from purejaxrl_reinforce.algorithm.blocks import any_lane, equal_parts, num_groups
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.setup import Setup
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.environments.environment import Environment, make

# Gives the actions of N lanes from their observations [N, ...] and noise [N, ...].
Act = Callable[[Array, Array], Array]


class Episode(NamedTuple):
    """Undiscounted return (float32) and length (steps, int32) of an episode of each lane, [N]."""

    episode_return: Array
    length: Array


class Lanes(NamedTuple):
    """The state of each lane: obs [N, ...], the environment's states, the rest [N].

    Once a lane of an `episodes` rollout has finished, it is not `alive` and keeps its last `obs`.
    """

    obs: Array
    env_state: Any
    alive: Array
    episode: Episode


class Trajectory(NamedTuple):
    """The steps of a rollout; every leaf is [T, N, ...] unless said otherwise.

    `terminated` is the environment's; so is `truncated`, which also holds at the last of the T
    steps of an `episodes` rollout. The cut of a `stream` at the end of its batch is neither.
    `valid` marks the steps that an episode really took; the other rows hold no information.
    `next_obs` is there if the returns bootstrap from it, else None: the observation after a step
    and before any reset, [T, N, ...], or, where no lane is cut more than once (`episodes`), the
    one after each lane's last step, [1, N, ...].

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, train
        >>> def metrics(config, state, trajectory):
        ...     return {"steps": trajectory.valid.sum()}
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3, metrics=metrics)
        >>> found = train(config, jax.random.key(0))[1]
        >>> found.own["steps"].tolist() == found.num_steps.tolist()
        True
    """

    obs: Array
    action: Array
    reward: Array
    terminated: Array
    truncated: Array
    valid: Array
    next_obs: Array | None = None


class Finished(NamedTuple):
    """Number, sum and extremes of the episodes that each lane finished, [N]."""

    number: Array
    sum: Episode
    min: Episode
    max: Episode


class Rollout(NamedTuple):
    """A way to play up to `num_steps` steps, T, with the actions of `act`.

    With `auto_reset`, a lane that is done starts again (`stream`); with `record_next_obs`, the
    trajectory gets `next_obs`.
    """

    setup: Setup
    act: Act
    num_steps: int
    auto_reset: bool = False
    record_next_obs: bool = False

    @property
    def block_length(self) -> int:
        """Time steps of a block."""
        return equal_parts(self.num_steps, self.setup.tuning.block_steps)

    @property
    def num_blocks(self) -> int:
        """Blocks that cover T."""
        return -(-self.num_steps // self.block_length)


class KeyUse(IntEnum):
    """The uses of randomness in a lane."""

    START = 0
    NOISE = 1
    STEP = 2
    RESET = 3


def keys_for(keys: Array, use: KeyUse, t: Array | int = 0) -> Array:
    """Return the keys for one use at time step t of the lanes with `keys` [N]."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, len(KeyUse) * t + use)


def steps_per_update(config: Config, env: Environment) -> int:
    """Return T, the most time steps that a lane takes in an update."""
    if config.num_steps is None:
        return env.time_limit
    return config.num_steps if config.rollout == "stream" else min(config.num_steps, env.time_limit)


def with_total_steps(config: Config, total_steps: float) -> Config:
    """Return `config` with as many updates as take at most `total_steps` environment steps.

    An update of a stream takes num_envs times num_steps. One of whole episodes takes less than
    num_envs times their limit where they end before it.

    Raises:
        ValueError: not even one update is sure to take so few.

    Example:
        >>> from purejaxrl_reinforce import Config, with_total_steps
        >>> with_total_steps(Config(num_envs=4, num_steps=50), 1e4).num_updates
        50
    """
    each = config.num_envs * steps_per_update(config, make(config.env, config.env_params))
    if not each <= total_steps:
        raise ValueError(f"total_steps must be at least {each:,}, an update's, not {total_steps}")
    return config.replace(num_updates=int(total_steps // each))


def carries_lanes(config: Config) -> bool:
    """Return whether an update plays on where the last one ended."""
    return config.rollout == "stream" and not config.reset_each_update


def make_rollout(setup: Setup, params: Params) -> Rollout:
    """Return the rollout of an update, with the policy that has these parameters."""
    config, networks = setup.config, setup.networks
    return Rollout(
        setup,
        act=lambda obs, noise: networks.distribution(params, obs).sample(noise),
        num_steps=steps_per_update(config, setup.env),
        auto_reset=config.rollout == "stream",
        record_next_obs=config.bootstrap,
    )


def play_batch(
    setup: Setup, params: Params, lanes: Lanes, key: Array
) -> tuple[Lanes, Finished, Trajectory]:
    """Play the batch of one update, whose key is (): up to T steps in each of N lanes.

    `lanes` are where the last update ended; only a `stream` may play on from there.
    """
    rollout = make_rollout(setup, params)
    keys = setup.axis.keys(key, lanes.alive.shape[0])
    if not carries_lanes(setup.config):
        lanes = fresh_lanes(setup.env, keys_for(keys, KeyUse.START))
    return record(rollout, lanes, keys)


def fresh_lanes(env: Environment, keys: Array) -> Lanes:
    """Return N lanes at the start of an episode each, one for each of the `keys` [N]."""
    obs, env_state = env.reset(keys)
    episode = Episode(jnp.zeros(keys.shape), jnp.zeros(keys.shape, jnp.int32))
    return Lanes(obs, env_state, jnp.ones(keys.shape, bool), episode)


def record(rollout: Rollout, lanes: Lanes, keys: Array) -> tuple[Lanes, Finished, Trajectory]:
    """Play `lanes` for up to T steps, rounded up to whole blocks, and record them."""

    num_rows = rollout.num_blocks * rollout.block_length

    def rows_of(x: Array) -> Array:
        return jnp.zeros((num_rows, *x.shape), x.dtype)

    env, obs, flags = rollout.setup.env, rows_of(lanes.obs), rows_of(lanes.alive)
    action = jnp.zeros(
        (*flags.shape, *env.action_shape), jnp.float32 if env.num_actions is None else jnp.int32
    )
    reward = rows_of(lanes.episode.episode_return)
    next_obs = obs if rollout.record_next_obs and rollout.auto_reset else None
    buffers = Trajectory(obs, action, reward, flags, flags, flags, next_obs)
    lanes, finished, trajectory = _play_groups(rollout, lanes, keys, buffers)
    assert trajectory is not None
    if rollout.record_next_obs and not rollout.auto_reset:
        trajectory = trajectory._replace(next_obs=lanes.obs[None])
    return lanes, finished, trajectory


def play(rollout: Rollout, lanes: Lanes, keys: Array) -> tuple[Lanes, Finished]:
    """Play `lanes` for up to T steps without recording anything."""
    return _play_groups(rollout, lanes, keys, buffers=None)[:2]


def _play_groups(
    rollout: Rollout, lanes: Lanes, keys: Array, buffers: Trajectory | None
) -> tuple[Lanes, Finished, Trajectory | None]:
    """Play group after group of lanes; rows go into `buffers` [T, N, ...], if there are any."""
    num_lanes = keys.shape[0]
    groups = num_groups(num_lanes, rollout.setup.tuning.lane_width)
    width = num_lanes // groups

    def play_group(buffers: Any, group: tuple[Array, Lanes, Array]) -> tuple[Any, Any]:
        *played, buffers = _play_group(rollout, *group, buffers)
        return buffers, played

    starts = jnp.arange(groups, dtype=jnp.int32) * width
    split = jax.tree.map(lambda x: x.reshape(groups, width, *x.shape[1:]), (lanes, keys))
    buffers, played = lax.scan(play_group, buffers, (starts, *split))
    lanes, finished = jax.tree.map(lambda x: x.reshape(num_lanes, *x.shape[2:]), played)
    return lanes, finished, buffers


def _play_group(
    rollout: Rollout, first_lane: Array, lanes: Lanes, keys: Array, buffers: Trajectory | None
) -> tuple[Lanes, Finished, Trajectory | None]:
    """Play a group of lanes, one block of time steps after the other, until none is alive."""

    def some_lane_alive(carry: tuple[Any, ...]) -> Array:
        block, lanes, *_ = carry
        return (block < rollout.num_blocks) & any_lane(lanes.alive)

    def play_block(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        block, lanes, finished, buffers = carry
        start = block * rollout.block_length
        times = start + jnp.arange(rollout.block_length)
        # Drawn for a whole block at once, but by lane and time step, so that neither the block
        # length nor what the other lanes do changes what is drawn.
        draw = jax.vmap(rollout.setup.networks.policy.noise)
        noise = jax.vmap(lambda t: draw(keys_for(keys, KeyUse.NOISE, t)))(times)

        def step(playing: tuple[Any, ...], noise: Array) -> tuple[tuple[Any, ...], Trajectory]:
            t, lanes, finished = playing  # t is carried: as an input of the scan it cost more
            lanes, finished, row = play_step(rollout, lanes, finished, keys, noise, t)
            return (t + 1, lanes, finished), row

        playing, unroll = (start, lanes, finished), rollout.setup.tuning.unroll_block
        (_, lanes, finished), rows = lax.scan(step, playing, noise, unroll=unroll)
        if buffers is not None:
            buffers = _write(buffers, rows, start, first_lane)
        return block + 1, lanes, finished, buffers

    carry = (jnp.int32(0), lanes, none_finished(lanes.episode), buffers)
    _, lanes, finished, buffers = lax.while_loop(some_lane_alive, play_block, carry)
    if not rollout.auto_reset:  # a lane's one episode is counted once, at its end
        finished = count_finished(finished, lanes.episode, ~lanes.alive)
    return lanes, finished, buffers


def _write(buffers: Trajectory, rows: Trajectory, t: Array, lane: Array) -> Trajectory:
    """Write rows of a group of lanes, the first of them for time step t and this lane."""

    def write(buffer: Array, new: Array) -> Array:
        return lax.dynamic_update_slice(buffer, new, (t, lane) + (0,) * (new.ndim - 2))

    return jax.tree.map(write, buffers, rows)


def play_step(
    rollout: Rollout, lanes: Lanes, finished: Finished, keys: Array, noise: Array, t: Array | int
) -> tuple[Lanes, Finished, Trajectory]:
    """Take step t in every lane, with randomness from `keys` [N] and `noise` for the actions."""
    lanes, row = _advance(rollout, lanes, keys_for(keys, KeyUse.STEP, t), noise, t)
    done = row.terminated | row.truncated
    if not rollout.auto_reset:
        return lanes._replace(alive=lanes.alive & ~done), finished, row
    finished = count_finished(finished, lanes.episode, done)

    def reset_done() -> Lanes:
        return _select(done, fresh_lanes(rollout.setup.env, keys_for(keys, KeyUse.RESET, t)), lanes)

    if rollout.setup.tuning.skip_resets:  # with few lanes most steps finish no episode
        return lax.cond(any_lane(done), reset_done, lambda: lanes), finished, row
    return reset_done(), finished, row


def _advance(
    rollout: Rollout, lanes: Lanes, keys: Array, noise: Array, t: Array | int
) -> tuple[Lanes, Trajectory]:
    """Take step `t` in every living lane; the others are masked out."""
    valid = lanes.alive & (t < rollout.num_steps)
    action = rollout.act(lanes.obs, noise)
    _, env, networks, *_ = rollout.setup
    result = env.step(keys, lanes.env_state, networks.policy.to_env(action))
    # T is a time limit to whole episodes; a stream continues them in its next update.
    out_of_time = (t == rollout.num_steps - 1) & (not rollout.auto_reset)
    row = Trajectory(
        obs=lanes.obs,
        action=action,
        reward=jnp.where(valid, result.reward, 0.0),
        terminated=valid & result.terminated,
        truncated=valid & (result.truncated | out_of_time),
        valid=valid,
        next_obs=result.obs if rollout.record_next_obs and rollout.auto_reset else None,
    )
    obs, env_state = _select(valid, (result.obs, result.env_state), (lanes.obs, lanes.env_state))
    episode = Episode(lanes.episode.episode_return + row.reward, lanes.episode.length + valid)
    return Lanes(obs, env_state, lanes.alive, episode), row


def _select(mask: Array, if_true: Any, if_false: Any) -> Any:
    """Choose per lane between two trees with leaves [N, ...] by mask [N]."""

    def choose(x: Array, y: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (x.ndim - 1)), x, y)

    return jax.tree.map(choose, if_true, if_false)


def none_finished(episode: Episode) -> Finished:
    """Return the statistics of finished episodes before the first one ends."""
    zeros = jax.tree.map(jnp.zeros_like, episode)
    inf = jnp.full_like(zeros.episode_return, jnp.inf)
    longest = jnp.full_like(zeros.length, jnp.iinfo(jnp.int32).max)
    return Finished(zeros.length, zeros, Episode(inf, longest), Episode(-inf, zeros.length))


def count_finished(finished: Finished, episode: Episode, done: Array) -> Finished:
    """Add the episodes of the lanes that are done."""

    def added(combine: Callable[[Array, Array], Array], so_far: Episode) -> Episode:
        return jax.tree.map(lambda x, y: jnp.where(done, combine(x, y), x), so_far, episode)

    return Finished(
        finished.number + done,
        added(jnp.add, finished.sum),
        added(jnp.minimum, finished.min),
        added(jnp.maximum, finished.max),
    )
