"""Playing many episodes side by side: the lanes, what is recorded, and the compiled loop.

T is the number of time steps, N of lanes. Two kinds of rollout share one loop body. In `episodes`
every lane plays one episode and then stands still, masked; in `stream` a lane that is done starts
again. Both stop early, between blocks of time steps, once no lane is alive.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.blocks import any_lane
from purejaxrl_reinforce.environment import Environment

# Gives the actions of N lanes from their observations [N, ...] and noise [N, ...].
Act = Callable[[Array, Array], Array]
# Draws the noise of one time step for N lanes from a key.
Noise = Callable[[Array, int], Array]


class Lanes(NamedTuple):
    """Where each lane stands: obs [N, ...], the environment's states, the rest [N].

    `episode_return` (sum of raw rewards) and `episode_length` (steps) are those of the episode so
    far; `alive` is false once a lane of an `episodes` rollout has finished.
    """

    obs: Array
    env_state: Any
    alive: Array
    episode_return: Array
    episode_length: Array


class Trajectory(NamedTuple):
    """What an update learns from; every leaf is [T, N, ...].

    `terminated` is the environment's; so is `truncated`, which also holds at the last of the T
    steps of an `episodes` rollout. The cut of a `stream` at the end of its batch is neither.
    `valid` marks the steps that an episode really took; the other rows hold no information.
    `next_obs`, the observation after the step and before any reset, is recorded where the returns
    bootstrap from it and None elsewhere.
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
    """How to play; everything in it is static but for `act`, which may close over parameters.

    Attributes:
        env: the environment.
        act: gives the actions.
        noise: draws the noise for `act`.
        num_steps: T, the most time steps that a lane takes.
        block_length: time steps between two looks at whether any lane is alive.
        auto_reset: whether a lane that is done starts again (`stream`).
        record_next_obs: whether the trajectory gets `next_obs`.
    """

    env: Environment
    act: Act
    noise: Noise
    num_steps: int
    block_length: int
    auto_reset: bool = False
    record_next_obs: bool = False


def fresh_lanes(env: Environment, key: Array, num_envs: int) -> Lanes:
    """Return `num_envs` lanes at the start of an episode each."""
    obs, env_state = env.reset(key, num_envs)
    return Lanes(
        obs=obs,
        env_state=env_state,
        alive=jnp.ones(num_envs, bool),
        episode_return=jnp.zeros(num_envs, jnp.float32),
        episode_length=jnp.zeros(num_envs, jnp.int32),
    )


def record(
    rollout: Rollout, lanes: Lanes, key: Array
) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
    """Play `lanes` for up to T steps and record what happens.

    The trajectory has T rows, rounded up to whole blocks; rows that were not played are invalid.
    """

    def shapes_of_one_row() -> Trajectory:
        key_noise, key_step = jax.random.split(jax.random.key(0))
        noise = rollout.noise(key_noise, lanes.alive.shape[0])
        none_finished = _none_finished(lanes)
        return _play_step(rollout, lanes, none_finished, key_step, noise, jnp.int32(0))[2]

    num_rows = _num_blocks(rollout) * rollout.block_length
    buffers = jax.tree.map(
        lambda x: jnp.zeros((num_rows, *x.shape), x.dtype), jax.eval_shape(shapes_of_one_row)
    )

    def keep_rows(buffers: Trajectory, rows: Trajectory, start: Array) -> Trajectory:
        return jax.tree.map(
            lambda buffer, new: jax.lax.dynamic_update_slice_in_dim(buffer, new, start, 0),
            buffers,
            rows,
        )

    return _play(rollout, lanes, key, buffers, keep_rows)


def play(rollout: Rollout, lanes: Lanes, key: Array) -> tuple[Lanes, FinishedEpisodes]:
    """Play `lanes` for up to T steps without recording anything."""
    lanes, finished, _ = _play(rollout, lanes, key, None, lambda *_: None)
    return lanes, finished


def _num_blocks(rollout: Rollout) -> int:
    return -(-rollout.num_steps // rollout.block_length)


def _play(
    rollout: Rollout,
    lanes: Lanes,
    key: Array,
    buffers: Any,
    keep_rows: Callable[[Any, Trajectory, Array], Any],
) -> tuple[Lanes, FinishedEpisodes, Any]:
    key_noise, key_env = jax.random.split(key)
    num_envs = lanes.alive.shape[0]

    def some_lane_alive(carry: tuple[Any, ...]) -> Array:
        block, lanes, _, _ = carry
        return (block < _num_blocks(rollout)) & any_lane(lanes.alive)

    def play_block(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        block, lanes, finished, buffers = carry
        times = block * rollout.block_length + jnp.arange(rollout.block_length)
        # Noise is drawn for a whole block at once, but from one key per time step, so that the
        # block length does not change what is drawn.
        noise = jax.vmap(lambda t: rollout.noise(jax.random.fold_in(key_noise, t), num_envs))(times)

        def play_step(
            carry: tuple[Lanes, FinishedEpisodes], xs: tuple[Array, Array]
        ) -> tuple[tuple[Lanes, FinishedEpisodes], Trajectory]:
            t, noise = xs
            key_step = jax.random.fold_in(key_env, t)
            lanes, finished, row = _play_step(rollout, *carry, key_step, noise, t)
            return (lanes, finished), row

        (lanes, finished), rows = jax.lax.scan(play_step, (lanes, finished), (times, noise))
        return block + 1, lanes, finished, keep_rows(buffers, rows, times[0])

    carry = (jnp.int32(0), lanes, _none_finished(lanes), buffers)
    _, lanes, finished, buffers = jax.lax.while_loop(some_lane_alive, play_block, carry)
    return lanes, finished, buffers


def _play_step(
    rollout: Rollout,
    lanes: Lanes,
    finished: FinishedEpisodes,
    key: Array,
    noise: Array,
    t: Array,
) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
    key_step, key_reset = jax.random.split(key)
    lanes, row = _advance(rollout, lanes, key_step, noise, t)
    done = row.terminated | row.truncated
    finished = _count_finished(finished, lanes, done)
    if rollout.auto_reset:
        # With few lanes most steps finish no episode, and then no reset is computed.
        lanes = jax.lax.cond(
            any_lane(done),
            lambda: select(done, fresh_lanes(rollout.env, key_reset, done.shape[0]), lanes),
            lambda: lanes,
        )
    else:
        lanes = lanes._replace(alive=lanes.alive & ~done)
    return lanes, finished, row


def _advance(
    rollout: Rollout, lanes: Lanes, key: Array, noise: Array, t: Array
) -> tuple[Lanes, Trajectory]:
    """Take step `t` in every living lane; the others stand still."""
    valid = lanes.alive & (t < rollout.num_steps)
    action = rollout.act(lanes.obs, noise)
    result = rollout.env.step(key, lanes.env_state, action)
    # T is a time limit to whole episodes; a stream goes on with them in its next update.
    out_of_time = (t == rollout.num_steps - 1) & (not rollout.auto_reset)
    row = Trajectory(
        obs=lanes.obs,
        action=action,
        reward=jnp.where(valid, result.reward, 0.0),
        terminated=valid & result.terminated,
        truncated=valid & (result.truncated | out_of_time),
        valid=valid,
        next_obs=result.obs if rollout.record_next_obs else None,
    )
    obs, env_state = select(valid, (result.obs, result.env_state), (lanes.obs, lanes.env_state))
    lanes = Lanes(
        obs=obs,
        env_state=env_state,
        alive=lanes.alive,
        episode_return=lanes.episode_return + row.reward,
        episode_length=lanes.episode_length + valid,
    )
    return lanes, row


def select(mask: Array, if_true: Any, if_false: Any) -> Any:
    """Choose per lane between two trees with leaves [N, ...] by mask [N]."""

    def choose(x: Array, y: Array) -> Array:
        return jnp.where(mask.reshape(mask.shape + (1,) * (x.ndim - 1)), x, y)

    return jax.tree.map(choose, if_true, if_false)


def _none_finished(lanes: Lanes) -> FinishedEpisodes:
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


def _count_finished(finished: FinishedEpisodes, lanes: Lanes, done: Array) -> FinishedEpisodes:
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
