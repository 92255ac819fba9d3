"""The rollout in one launch: a Pallas kernel for NVIDIA GPUs that plays whole episodes.

Each program of the kernel plays a few lanes from the first step until none of them is alive, with
their states in registers. The steps are those of `rollout.play_step`, traced for one lane and
evaluated on vectors of lanes, with the same random numbers. Only the policy network is written
anew: sums over a tile [lanes, hidden units].
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.experimental import pallas as pl

from purejaxrl_reinforce.algorithm import rollout as xla
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.rollout import Finished, KeyUse, Lanes, Rollout, Trajectory
from purejaxrl_reinforce.algorithm.setup import Setup
from purejaxrl_reinforce.kernels import lane_blocks as blocks
from purejaxrl_reinforce.kernels.lane_blocks import LaneBlock
from purejaxrl_reinforce.kernels.lane_vectors import Key, LaneFunction, UnsupportedError, trace

# More numbers of a lane than these do not fit into the registers of a program.
MOST_NUMBERS = 64


class _Functions(NamedTuple):
    """What a program evaluates, traced for one lane."""

    fresh: LaneFunction
    start: LaneFunction
    inputs: LaneFunction
    step: LaneFunction
    end: LaneFunction


def play_batch(
    setup: Setup, params: Params, lanes: Lanes, key: Array
) -> tuple[Lanes, Finished, Trajectory]:
    """Play as `rollout.play_batch` does; the trajectory has exactly T rows.

    Raises:
        UnsupportedError: the kernel does not support the environment or its state.
    """
    rollout, num_lanes = xla.make_rollout(setup, params), lanes.alive.shape[0]
    layers, others = blocks.policy_parts(setup, params.policy)
    functions = _trace(rollout, key, layers.out_bias[None], others)
    *ends, row = functions.step.shapes
    _check(ends[0])
    numbers = jax.random.key_data(key), jnp.reshape(setup.axis.first_lane(num_lanes), 1)
    consts = [blocks.traced(function.consts) for function in functions]
    shared = (numbers, blocks.padded(layers), consts)
    start = lanes if xla.carries_lanes(setup.config) else None
    ends = _shapes(ends, (num_lanes,))
    trajectory = _shapes(row, (rollout.num_steps, num_lanes))
    call = blocks.launch(
        setup,
        lambda *refs: _play(rollout, functions, blocks.this_block(num_lanes), *refs),
        grid=(pl.cdiv(num_lanes, blocks.LANES),),
        name="rollout",
        in_specs=[blocks.by_lanes(start, 0), jax.tree.map(blocks.whole, shared)],
        out_specs=[blocks.by_lanes(ends, 0), blocks.by_lanes(trajectory, 1)],
        out_shape=[ends, trajectory],
    )
    (lanes, finished), trajectory = call(start, shared)
    if rollout.record_next_obs and not rollout.auto_reset:
        trajectory = trajectory._replace(next_obs=lanes.obs[None])
    return lanes, finished, trajectory


def _check(lanes: Lanes) -> None:
    arrays = jax.tree.leaves((lanes.obs, lanes.env_state))
    numbers = sum(x.size for x in arrays)
    if numbers > MOST_NUMBERS:
        raise UnsupportedError(f"{numbers} numbers per lane, and {MOST_NUMBERS} fit")
    if any(jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in arrays):
        raise UnsupportedError("a key in its state")
    if not jax.config.values["jax_threefry_partitionable"]:
        raise UnsupportedError("the setting jax_threefry_partitionable")


def _trace(rollout: Rollout, key: Array, out: Array, others: tuple[Array, ...]) -> _Functions:
    setup, policy = rollout.setup, rollout.setup.networks.policy

    def fresh(keys: Array) -> Lanes:
        return xla.fresh_lanes(setup.env, xla.keys_for(keys, KeyUse.START))

    def step(
        lanes: Lanes, finished: Finished, keys: Array, t: Array, outputs: Array
    ) -> tuple[Lanes, Finished, Trajectory]:
        noise = jax.vmap(policy.noise)(xla.keys_for(keys, KeyUse.NOISE, t))
        play = rollout._replace(
            act=lambda _, noise: policy.distribution(outputs, *others).sample(noise),
            setup=setup._replace(tuning=setup.tuning._replace(skip_resets=True)),
        )
        return xla.play_step(play, lanes, finished, keys, noise, t)

    def end(lanes: Lanes, finished: Finished) -> Finished:
        if rollout.auto_reset:
            return finished
        return xla.count_finished(finished, lanes.episode, ~lanes.alive)

    keys = jnp.reshape(key, 1)
    lane = jax.eval_shape(fresh, keys)
    finished = jax.eval_shape(xla.none_finished, lane.episode)
    return _Functions(
        fresh=trace(fresh, keys),
        start=trace(xla.none_finished, lane.episode),
        inputs=trace(policy.network.inputs, lane.obs),
        step=trace(step, lane, finished, keys, jnp.int32(0), out),
        end=trace(end, lane, finished),
    )


def _shapes(one_lane: Any, rows: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*rows, *x.shape[1:]), x.dtype), one_lane)


def _play(rollout: Rollout, functions: _Functions, block: LaneBlock, *refs: Any) -> None:
    """Play the lanes of one program; write where they end, and each step. `refs` are in memory."""
    lane_refs, ((words, first), layers, const_refs), end_refs, row_refs = refs
    fresh, start, inputs, play_step, end = map(blocks.bound, functions, const_refs)
    numbers = (first[jnp.int32(0)] + block.numbers).astype(jnp.uint32)
    key = [Key(words[jnp.int32(0)], words[jnp.int32(1)]).fold_in(numbers)]
    lanes = fresh(key) if lane_refs is None else jax.tree.map(block.load, lane_refs)
    lanes = block.vectors(lanes)
    lanes = lanes._replace(alive=[lanes.alive[0] & block.mask])
    num_steps, shapes = rollout.num_steps, functions.step.shapes[2]

    def some_lane_alive(carry: Any) -> Array:
        t, lanes, _ = carry
        return (t < num_steps) & blocks.some(lanes.alive[0])

    def step(carry: Any) -> Any:
        t, lanes, finished = carry
        hidden = blocks.hidden_units(layers, inputs(lanes.obs))
        policy = blocks.outputs(layers, hidden)
        *carried, row = play_step(lanes, finished, key, [t], policy)
        block.store(row_refs, row, t)
        return t + 1, *block.vectors(carried)

    def clear(t: Array) -> Array:
        zeros = jax.tree.map(lambda x: [np.zeros((), x.dtype)[()]] * x.size, shapes)
        block.store(row_refs, zeros, t)
        return t + 1

    carry = (jnp.int32(0), lanes, block.vectors(start(lanes.episode)))
    t, lanes, finished = lax.while_loop(some_lane_alive, step, carry)
    lax.while_loop(lambda t: t < num_steps, clear, t)
    block.store(end_refs, (lanes, end(lanes, finished)))
