"""Rollouts: lanes, trajectories, and the compiled loop that plays many episodes side by side.

T is the number of time steps, N of lanes. Two kinds of rollout share one loop body. In `episodes`
every lane plays one episode and is then masked out; in `stream` a lane that is done starts again.
Lanes are played in groups, one group after the other; each stops early, between blocks of
time steps, once none of its lanes is alive.
"""

import functools
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.batching import (
    Tuning,
    any_lane,
    equal_parts,
    num_groups,
    tuning,
)
from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.environments.environment import Environment
from purejaxrl_reinforce.algorithm.networks.build import make_networks
from purejaxrl_reinforce.algorithm.packing import from_columns, pack, pointwise, to_columns, unpack
from purejaxrl_reinforce.config import Config

# Gives the actions of N lanes from their observations [N, ...] and noise [N, ...].
Act = Callable[[Array, Array], Array]
# Draws the noise of one action from a key.
Noise = Callable[[Array], Array]


class Lanes(NamedTuple):
    """The state of each lane: obs [N, ...], the environment's states, the rest [N].

    `episode_return` (sum of raw rewards) and `episode_length` (steps) are those of the episode so
    far; `alive` is false once a lane of an `episodes` rollout has finished. It then keeps the
    observation that its episode ended with.
    """

    obs: Array
    env_state: Any
    alive: Array
    episode_return: Array
    episode_length: Array


class Trajectory(NamedTuple):
    """The steps of a rollout; every leaf is [T, N, ...] unless said otherwise.

    `terminated` is the environment's; so is `truncated`, which also holds at the last of the T
    steps of an `episodes` rollout. The cut of a `stream` at the end of its batch is neither.
    `valid` marks the steps that an episode really took; the other rows hold no information.
    `next_obs` is there if the returns bootstrap from it, else None: the observation after a step
    and before any reset, [T, N, ...], or, where no lane is cut more than once (`episodes`), the
    one after each lane's last step, [1, N, ...].
    """

    obs: Array
    action: Array
    reward: Array
    terminated: Array
    truncated: Array
    valid: Array
    next_obs: Array | None = None


class FinishedEpisodes(NamedTuple):
    """Number, sums and extremes of the episodes that each lane finished, [N]."""

    number: Array
    return_sum: Array
    return_min: Array
    return_max: Array
    length_sum: Array
    length_min: Array
    length_max: Array


class Rollout(NamedTuple):
    """A way to play; everything in it is static but for `act`, which may close over parameters.

    Attributes:
        env: the environment.
        act: gives the actions.
        noise: draws the noise for one action.
        num_steps: T, the most time steps that a lane takes.
        tuning: block sizes and unrolling.
        to_env: gives the actions that the environment takes for those of `act`.
        auto_reset: whether a lane that is done starts again (`stream`).
        record_next_obs: whether the trajectory gets `next_obs`.
    """

    env: Environment
    act: Act
    noise: Noise
    num_steps: int
    tuning: Tuning
    to_env: Callable[[Array], Array] = lambda action: action
    auto_reset: bool = False
    record_next_obs: bool = False


class Use(IntEnum):
    """The uses of randomness in a lane."""

    START = 0
    NOISE = 1
    STEP = 2
    RESET = 3


def keys_for(keys: Array, use: Use, t: Array | int = 0) -> Array:
    """Return the keys for one use at time step t of the lanes with `keys` [N]."""
    return jax.vmap(jax.random.fold_in, (0, None))(keys, len(Use) * t + use)


def steps_per_update(config: Config, env: Environment) -> int:
    """Return T, the most time steps that a lane takes in an update."""
    if config.num_steps is None:
        return env.time_limit
    return config.num_steps if config.rollout == "stream" else min(config.num_steps, env.time_limit)


def make_rollout(config: Config, policy_params: Any) -> Rollout:
    """Return the rollout of an update, with the policy that has these parameters."""
    env, networks = environment.make(config.env, config.env_params), make_networks(config)
    return Rollout(
        env=env,
        act=lambda obs, noise: networks.distribution(policy_params, obs).sample(noise),
        noise=networks.policy.noise,
        num_steps=steps_per_update(config, env),
        tuning=tuning(config),
        to_env=networks.policy.to_env,
        auto_reset=config.rollout == "stream",
        record_next_obs=config.bootstrap,
    )


def fresh_lanes(env: Environment, keys: Array) -> Lanes:
    """Return N lanes at the start of an episode each, one for each of the `keys` [N]."""
    obs, env_state = env.reset(keys)
    return Lanes(
        obs=obs,
        env_state=env_state,
        alive=jnp.ones(keys.shape, bool),
        episode_return=jnp.zeros(keys.shape, jnp.float32),
        episode_length=jnp.zeros(keys.shape, jnp.int32),
    )


def record(
    rollout: Rollout, lanes: Lanes, keys: Array
) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
    """Play `lanes` for up to T steps, with randomness from `keys` [N], and record what happens.

    The trajectory has T rows, rounded up to whole blocks; rows that were not played are invalid.
    """

    def shapes_of_one_row() -> tuple[Trajectory, Any]:
        noise = jax.vmap(rollout.noise)(keys)
        step = play_step(rollout, lanes, none_finished(lanes), keys, noise, 0)
        return step[2], _as_recorded(rollout, step[2])

    num_rows = _num_blocks(rollout) * _block_length(rollout)
    row, recorded = jax.eval_shape(shapes_of_one_row)
    buffers = jax.tree.map(lambda x: jnp.zeros((num_rows, *x.shape), x.dtype), recorded)

    def keep_rows(buffers: Any, rows: Any, start: Array, lane: Array) -> Any:
        def write(buffer: Array, new: Array) -> Array:
            return jax.lax.dynamic_update_slice(buffer, new, (start, lane) + (0,) * (new.ndim - 2))

        if not rollout.tuning.packed:
            return jax.tree.map(write, buffers, rows)
        (words, others), (new_words, new_others) = buffers, rows
        words = jax.lax.dynamic_update_slice(words, new_words, (start, 0, lane))
        return words, list(map(write, others, new_others))

    lanes, finished, rows = _play_groups(rollout, lanes, keys, buffers, keep_rows)
    trajectory: Trajectory = unpack(rows, row) if rollout.tuning.packed else rows
    if rollout.record_next_obs and not rollout.auto_reset:
        trajectory = trajectory._replace(next_obs=lanes.obs[None])
    return lanes, finished, trajectory


def play(rollout: Rollout, lanes: Lanes, keys: Array) -> tuple[Lanes, FinishedEpisodes]:
    """Play `lanes` for up to T steps without recording anything."""
    lanes, finished, _ = _play_groups(rollout, lanes, keys, None, lambda *_: None)
    return lanes, finished


def _play_groups(
    rollout: Rollout,
    lanes: Lanes,
    keys: Array,
    buffers: Any,
    keep_rows: Callable[[Any, Trajectory, Array, Array], Any],
) -> tuple[Lanes, FinishedEpisodes, Any]:
    """Play group after group of lanes; `keep_rows(buffers, rows, t, lane)` keeps each block."""
    num_lanes = keys.shape[0]
    groups = num_groups(num_lanes, rollout.tuning.lane_width)
    width = num_lanes // groups

    def play_group(buffers: Any, group: tuple[Array, Lanes, Array]) -> tuple[Any, Any]:
        first, lanes, keys = group

        def keep(buffers: Any, rows: Trajectory, t: Array) -> Any:
            return keep_rows(buffers, rows, t, first)

        lanes, finished, buffers = _play(rollout, lanes, keys, buffers, keep)
        return buffers, (lanes, finished)

    starts = jnp.arange(groups, dtype=jnp.int32) * width
    split = jax.tree.map(lambda x: x.reshape(groups, width, *x.shape[1:]), (lanes, keys))
    buffers, played = jax.lax.scan(play_group, buffers, (starts, *split))
    lanes, finished = jax.tree.map(lambda x: x.reshape(num_lanes, *x.shape[2:]), played)
    return lanes, finished, buffers


def _block_length(rollout: Rollout) -> int:
    return equal_parts(rollout.num_steps, rollout.tuning.block_steps)


def _num_blocks(rollout: Rollout) -> int:
    return -(-rollout.num_steps // _block_length(rollout))


def _play(
    rollout: Rollout,
    lanes: Lanes,
    keys: Array,
    buffers: Any,
    keep_rows: Callable[[Any, Trajectory, Array], Any],
) -> tuple[Lanes, FinishedEpisodes, Any]:
    parts, whole = _carried(rollout, lanes)

    def some_lane_alive(carry: tuple[Any, ...]) -> Array:
        block, lanes, _, _ = carry
        return (block < _num_blocks(rollout)) & any_lane(lanes.alive)

    def play_block(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        block, lanes, finished, buffers = carry
        first = block * _block_length(rollout)
        times = first + jnp.arange(_block_length(rollout))
        # Drawn for a whole block at once, but by lane and time step, so that neither the block
        # length nor what the other lanes do changes what is drawn.
        noise = jax.vmap(lambda t: jax.vmap(rollout.noise)(keys_for(keys, Use.NOISE, t)))(times)

        def advance(carry: tuple[Array, Any], noise: Array) -> tuple[tuple[Array, Any], Any]:
            t, playing = carry
            lanes, finished = whole(playing)
            lanes, finished, row = play_step(rollout, lanes, finished, keys, noise, t)
            return (t + 1, parts((lanes, finished))), _as_recorded(rollout, row)

        carry = (first, parts((lanes, finished)))
        (_, playing), rows = jax.lax.scan(advance, carry, noise, unroll=rollout.tuning.unroll_block)
        lanes, finished = whole(playing)
        return block + 1, lanes, finished, keep_rows(buffers, rows, first)

    carry = (jnp.int32(0), lanes, none_finished(lanes), buffers)
    _, lanes, finished, buffers = jax.lax.while_loop(some_lane_alive, play_block, carry)
    if not rollout.auto_reset:  # a lane's one episode is counted once, at its end
        finished = count_finished(finished, lanes, ~lanes.alive)
    return lanes, finished, buffers


def _carried(rollout: Rollout, lanes: Lanes) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """Return what makes of (lanes, finished) the carry of the loop over steps, and the inverse."""
    if not rollout.tuning.packed:
        return lambda tree: tree, lambda tree: tree
    shapes = jax.eval_shape(lambda: (lanes, none_finished(lanes)))
    return to_columns, lambda columns: from_columns(columns, shapes)


def play_step(
    rollout: Rollout,
    lanes: Lanes,
    finished: FinishedEpisodes,
    keys: Array,
    noise: Array,
    t: Array | int,
) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
    """Take step t in every lane, with randomness from `keys` [N] and `noise` for the actions."""
    lanes, row = _advance(rollout, lanes, keys_for(keys, Use.STEP, t), noise, t)
    done = row.terminated | row.truncated
    if not rollout.auto_reset:
        return lanes._replace(alive=lanes.alive & ~done), finished, row
    finished = count_finished(finished, lanes, done)

    def reset_done() -> Lanes:
        fresh = fresh_lanes(rollout.env, keys_for(keys, Use.RESET, t))
        return _select(rollout, done, fresh, lanes)

    if rollout.tuning.skip_resets:  # with few lanes most steps finish no episode
        return jax.lax.cond(any_lane(done), reset_done, lambda: lanes), finished, row
    return reset_done(), finished, row


def _as_recorded(rollout: Rollout, row: Trajectory) -> Any:
    return pack(row) if rollout.tuning.packed else row


def _advance(
    rollout: Rollout, lanes: Lanes, keys: Array, noise: Array, t: Array | int
) -> tuple[Lanes, Trajectory]:
    """Take step `t` in every living lane; the others are masked out."""
    valid = lanes.alive & (t < rollout.num_steps)
    action = rollout.act(lanes.obs, noise)
    result = rollout.env.step(keys, lanes.env_state, rollout.to_env(action))
    # T is a time limit to whole episodes; a stream goes on with them in its next update.
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
    obs, env_state = _select(
        rollout, valid, (result.obs, result.env_state), (lanes.obs, lanes.env_state)
    )
    lanes = Lanes(
        obs=obs,
        env_state=env_state,
        alive=lanes.alive,
        episode_return=lanes.episode_return + row.reward,
        episode_length=lanes.episode_length + valid,
    )
    return lanes, row


def _select(rollout: Rollout, mask: Array, if_true: Any, if_false: Any) -> Any:
    """Choose per lane between two trees with leaves [N, ...] by mask [N]."""

    def choose(x: Array, y: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (x.ndim - 1)), x, y)

    chosen = functools.partial(jax.tree.map, choose)
    return pointwise(rollout.tuning.packed, chosen, if_true, if_false)


def none_finished(lanes: Lanes) -> FinishedEpisodes:
    zeros = jnp.zeros_like(lanes.episode_length)
    inf = jnp.full_like(lanes.episode_return, jnp.inf)
    return FinishedEpisodes(
        number=zeros,
        return_sum=jnp.zeros_like(lanes.episode_return),
        return_min=inf,
        return_max=-inf,
        length_sum=zeros,
        length_min=jnp.full_like(zeros, jnp.iinfo(jnp.int32).max),
        length_max=zeros,
    )


def count_finished(finished: FinishedEpisodes, lanes: Lanes, done: Array) -> FinishedEpisodes:
    """Add the episodes of the lanes that are done."""
    returns, lengths = lanes.episode_return, lanes.episode_length
    return FinishedEpisodes(
        number=finished.number + done,
        return_sum=finished.return_sum + jnp.where(done, returns, 0.0),
        return_min=jnp.where(done, jnp.minimum(finished.return_min, returns), finished.return_min),
        return_max=jnp.where(done, jnp.maximum(finished.return_max, returns), finished.return_max),
        length_sum=finished.length_sum + jnp.where(done, lengths, 0),
        length_min=jnp.where(done, jnp.minimum(finished.length_min, lengths), finished.length_min),
        length_max=jnp.where(done, jnp.maximum(finished.length_max, lengths), finished.length_max),
    )
