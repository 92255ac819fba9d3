"""The rollout in one launch: a Pallas kernel for NVIDIA GPUs that plays whole episodes.

Each program of the kernel plays a few lanes from the first step until none of them is alive, with
their states in registers. The steps are those of `rollout.play_step`, traced for one lane and
evaluated on vectors of lanes, with the same random numbers. Only the policy network is written
anew: sums over a tile [lanes, hidden units].
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.experimental import pallas as pl

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.algorithm.kernels.lane_blocks import (
    DEFAULT_TILING,
    LaneBlock,
    Tiling,
    bound,
    by_lanes,
    hidden_units,
    outputs,
    padded,
    some,
    this_block,
    traced,
    whole,
)
from purejaxrl_reinforce.algorithm.kernels.lane_vectors import (
    Elements,
    Key,
    LaneFunction,
    UnsupportedError,
    trace,
)
from purejaxrl_reinforce.algorithm.networks.policies import PolicyParts
from purejaxrl_reinforce.algorithm.rollout import (
    FinishedEpisodes,
    Lanes,
    Rollout,
    Trajectory,
    Use,
    count_finished,
    fresh_lanes,
    keys_for,
    none_finished,
    play_step,
)

# More numbers of a lane than these do not fit into the registers of a program.
MOST_NUMBERS = 64


class _Functions(NamedTuple):
    """What a program evaluates, traced for one lane."""

    key: LaneFunction
    fresh: LaneFunction
    start: LaneFunction
    inputs: LaneFunction
    step: LaneFunction
    end: LaneFunction


def record_in_one_launch(
    rollout: Rollout,
    lanes: Lanes | None,
    key: Array,
    num_lanes: int,
    policy: PolicyParts,
    axis: LaneAxis = ONE_DEVICE,
    tiling: Tiling = DEFAULT_TILING,
    interpret: bool = False,
) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
    """Do what `rollout.record` does, with `policy` in place of the rollout's `act`.

    The trajectory has exactly T rows.

    Args:
        rollout: a way to play.
        lanes: what is played on; None: fresh lanes, as of `keys_for(keys, Use.START)`.
        key: that `axis.keys` makes the lanes' keys from.
        num_lanes: that are here.
        policy: in its parts.
        axis: the device axis the lanes are sharded over.
        tiling: lanes and warps of a program.
        interpret: run on any device, slowly.

    Raises:
        UnsupportedError: the environment or its state use what the kernel cannot hold.
    """
    functions = _trace(rollout, key, policy)
    _check(functions.step.shapes[0], key)
    numbers = jax.random.key_data(key), jnp.reshape(axis.first_lane(num_lanes), 1)
    shared = (numbers, padded(policy.layers), [traced(function.consts) for function in functions])
    call = _kernel(rollout, functions, lanes, shared, num_lanes, tiling, interpret)
    (lanes, finished), trajectory = call(lanes, shared)
    if rollout.record_next_obs and not rollout.auto_reset:
        trajectory = trajectory._replace(next_obs=lanes.obs[None])
    return lanes, finished, trajectory


def _kernel(
    rollout: Rollout,
    functions: _Functions,
    lanes: Lanes | None,
    shared: Any,
    num_lanes: int,
    tiling: Tiling,
    interpret: bool,
) -> Callable[..., Any]:
    """Return the launch: a function of `lanes` and `shared`, or of arrays of their shapes."""
    *ends, row = functions.step.shapes
    ends = _shapes(ends, (num_lanes,))
    trajectory = _shapes(row, (rollout.num_steps, num_lanes))
    call: Callable[..., Any] = pl.pallas_call(
        lambda *refs: _Program(rollout, functions, this_block(num_lanes, tiling)).play(*refs),
        grid=(pl.cdiv(num_lanes, tiling.lanes),),
        in_specs=[by_lanes(lanes, 0, tiling), jax.tree.map(whole, shared)],
        out_specs=[by_lanes(ends, 0, tiling), by_lanes(trajectory, 1, tiling)],
        out_shape=[ends, trajectory],
        compiler_params=tiling.params(),
        interpret=interpret,
        name="rollout",
    )
    return call


def _check(lanes: Lanes, key: Array) -> None:
    arrays = jax.tree.leaves((lanes.obs, lanes.env_state))
    numbers = sum(x.size for x in arrays)
    if numbers > MOST_NUMBERS:
        raise UnsupportedError(f"{numbers} numbers per lane, and {MOST_NUMBERS} fit")
    if any(jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in arrays):
        raise UnsupportedError("a key in its state")
    partitionable = jax.config.values["jax_threefry_partitionable"]
    if jax.random.key_impl(key) != "threefry2x32" or not partitionable:
        raise UnsupportedError("keys other than jax's usual ones")


def _trace(rollout: Rollout, key: Array, policy: PolicyParts) -> _Functions:
    def lane_key(key: Array, number: Array) -> Array:
        return jax.vmap(jax.random.fold_in, (None, 0))(key, number)

    def fresh(keys: Array) -> Lanes:
        return fresh_lanes(rollout.env, keys_for(keys, Use.START))

    def step(
        lanes: Lanes, finished: FinishedEpisodes, keys: Array, t: Array, outputs: Array
    ) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
        noise = jax.vmap(rollout.noise)(keys_for(keys, Use.NOISE, t))
        play = rollout._replace(
            act=lambda _, noise: policy.distribution(outputs, policy.others).sample(noise),
            tuning=rollout.tuning._replace(packed=False, skip_resets=True),
        )
        return play_step(play, lanes, finished, keys, noise, t)

    def end(lanes: Lanes, finished: FinishedEpisodes) -> FinishedEpisodes:
        return finished if rollout.auto_reset else count_finished(finished, lanes, ~lanes.alive)

    number, out = jnp.zeros(1, jnp.int32), policy.layers.out_bias[None]
    keys = jax.eval_shape(lane_key, key, number)
    lane = jax.eval_shape(fresh, keys)
    finished = jax.eval_shape(none_finished, lane)
    return _Functions(
        key=trace(lane_key, key, number),
        fresh=trace(fresh, keys),
        start=trace(none_finished, lane),
        inputs=trace(policy.inputs, lane.obs),
        step=trace(step, lane, finished, keys, jnp.int32(0), out),
        end=trace(end, lane, finished),
    )


def _shapes(one_lane: Any, rows: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*rows, *x.shape[1:]), x.dtype), one_lane)


class _Program(NamedTuple):
    """One program of the kernel; its arguments named `refs` are references to memory."""

    rollout: Rollout
    functions: _Functions
    block: LaneBlock

    def play(self, lane_refs: Any, shared_refs: Any, end_refs: Any, row_refs: Trajectory) -> None:
        """Play the lanes of this program and write what comes of them."""
        (words, first), layers, const_refs = shared_refs
        key_of, fresh, start, inputs, play_step, end = map(bound, self.functions, const_refs)
        run_key = [Key(words[jnp.int32(0)], words[jnp.int32(1)])]
        key = key_of(run_key, [first[jnp.int32(0)] + self.block.numbers])
        lanes = fresh(key) if lane_refs is None else jax.tree.map(self.block.load, lane_refs)
        lanes = self.block.vectors(lanes)
        lanes = lanes._replace(alive=[lanes.alive[0] & self.block.mask])
        num_steps = self.rollout.num_steps

        def some_lane_alive(carry: Any) -> Array:
            t, lanes, _ = carry
            return (t < num_steps) & some(lanes.alive[0])

        def step(carry: Any) -> Any:
            t, lanes, finished = carry
            policy = outputs(layers, hidden_units(layers, inputs(lanes.obs)))
            *carried, row = play_step(lanes, finished, key, [t], policy)
            self.block.store(row_refs, row, t)
            return t + 1, *self.block.vectors(carried)

        def clear(t: Array) -> Array:
            self.block.store(row_refs, jax.tree.map(_zeros, self.functions.step.shapes[2]), t)
            return t + 1

        carry = (jnp.int32(0), lanes, self.block.vectors(start(lanes)))
        t, lanes, finished = lax.while_loop(some_lane_alive, step, carry)
        lax.while_loop(lambda t: t < num_steps, clear, t)
        self.block.store(end_refs, (lanes, end(lanes, finished)))


def _zeros(x: jax.ShapeDtypeStruct) -> Elements:
    return [np.zeros((), x.dtype)[()]] * x.size
