"""The rollout in one launch: a Pallas kernel for NVIDIA GPUs that plays whole episodes.

Each program of the kernel plays a few lanes from the first step until none of them is alive, with
their states in registers. The steps are those of `rollout.play_step`, traced for one lane and
evaluated on vectors of lanes, with the same random numbers. Only the policy network is written
anew: sums over a tile [lanes, hidden units].
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as pltriton

from purejaxrl_reinforce.algorithm.kernels.lane_vectors import (
    Elements,
    Key,
    LaneFunction,
    UnsupportedError,
    broadcast,
    known,
    leaves,
    trace,
)
from purejaxrl_reinforce.algorithm.policies import PolicyParts
from purejaxrl_reinforce.algorithm.relu_mlp import ReluMLPParams
from purejaxrl_reinforce.algorithm.rollout import (
    FinishedEpisodes,
    Lanes,
    Rollout,
    Trajectory,
    Use,
    count_finished,
    keys_for,
    none_finished,
    play_step,
)


class Tiling(NamedTuple):
    """Lanes of a program, a power of two, and its warps of 32 threads."""

    lanes: int
    warps: int


# Lanes so few that 64 of them occupy several multiprocessors; not measured on any GPU.
DEFAULT_TILING = Tiling(lanes=8, warps=1)

# More numbers of a lane than these do not fit into the registers of a program.
MOST_NUMBERS = 64


class _Functions(NamedTuple):
    """What a program evaluates, traced for one lane."""

    start: LaneFunction
    inputs: LaneFunction
    step: LaneFunction
    end: LaneFunction


def record_in_one_launch(
    rollout: Rollout,
    lanes: Lanes,
    keys: Array,
    policy: PolicyParts,
    tiling: Tiling = DEFAULT_TILING,
    interpret: bool = False,
) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
    """Do what `rollout.record` does, with `policy` in place of the rollout's `act`.

    The trajectory has exactly T rows. With `interpret`, the kernel runs on any device, slowly.

    Raises:
        UnsupportedError: the environment or its state use what the kernel cannot hold.
    """
    _check(lanes, keys)
    functions = _trace(rollout, lanes, keys, policy)
    num_lanes, num_steps = keys.shape[0], rollout.num_steps
    *ends, row = functions.step.shapes
    ends = _shapes(ends, (num_lanes,))
    trajectory = _shapes(row, (num_steps, num_lanes))
    per_lane = (lanes, jax.random.key_data(keys))
    shared = (_padded(policy.layers), [_traced(function.consts) for function in functions])
    call = pl.pallas_call(
        lambda *refs: _Program(rollout, functions, tiling, _mask(num_lanes, tiling)).play(*refs),
        grid=(pl.cdiv(num_lanes, tiling.lanes),),
        in_specs=[_blocks(per_lane, 0, tiling), jax.tree.map(_whole, shared)],
        out_specs=[_blocks(ends, 0, tiling), _blocks(trajectory, 1, tiling)],
        out_shape=[ends, trajectory],
        compiler_params=pltriton.CompilerParams(num_warps=tiling.warps, num_stages=1),
        interpret=interpret,
        name="rollout",
    )
    (lanes, finished), trajectory = call(per_lane, shared)
    if rollout.record_next_obs and not rollout.auto_reset:
        trajectory = trajectory._replace(next_obs=lanes.obs[None])
    return lanes, finished, trajectory


def _check(lanes: Lanes, keys: Array) -> None:
    arrays = jax.tree.leaves((lanes.obs, lanes.env_state))
    numbers = sum(x[0].size for x in arrays)
    if numbers > MOST_NUMBERS:
        raise UnsupportedError(f"{numbers} numbers per lane, and {MOST_NUMBERS} fit")
    if any(jnp.issubdtype(x.dtype, jax.dtypes.extended) for x in arrays):
        raise UnsupportedError("a key in its state")
    partitionable = jax.config.values["jax_threefry_partitionable"]
    if jax.random.key_impl(keys) != "threefry2x32" or not partitionable:
        raise UnsupportedError("keys other than jax's usual ones")


def _trace(rollout: Rollout, lanes: Lanes, keys: Array, policy: PolicyParts) -> _Functions:
    def step(
        lanes: Lanes, finished: FinishedEpisodes, keys: Array, t: Array, outputs: Array
    ) -> tuple[Lanes, FinishedEpisodes, Trajectory]:
        noise = jax.vmap(rollout.noise)(keys_for(keys, Use.NOISE, t))
        play = rollout._replace(
            act=lambda _, noise: policy.distribution(outputs).sample(noise),
            tuning=rollout.tuning._replace(packed=False, skip_resets=True),
        )
        return play_step(play, lanes, finished, keys, noise, t)

    def end(lanes: Lanes, finished: FinishedEpisodes) -> FinishedEpisodes:
        return finished if rollout.auto_reset else count_finished(finished, lanes, ~lanes.alive)

    lane, key = jax.tree.map(lambda x: x[:1], (lanes, keys))
    finished, outputs = none_finished(lane), policy.layers.out_bias[None]
    return _Functions(
        start=trace(none_finished, lane),
        inputs=trace(policy.inputs, lane.obs),
        step=trace(step, lane, finished, key, jnp.int32(0), outputs),
        end=trace(end, lane, finished),
    )


def _traced(consts: Sequence[Any]) -> list[Array]:
    """Return the constants that are arguments of the kernel, flat: those not known to it."""
    return [jnp.ravel(x) for x in consts if isinstance(x, jax.core.Tracer)]


def _padded(layers: ReluMLPParams) -> ReluMLPParams:
    """Add hidden units that do nothing, up to a power of two."""
    width = layers.hidden_bias.shape[0]
    more = (0, pl.next_power_of_2(width) - width)
    return layers._replace(
        hidden_kernel=jnp.pad(layers.hidden_kernel, ((0, 0), more)),
        hidden_bias=jnp.pad(layers.hidden_bias, more),
        out_kernel=jnp.pad(layers.out_kernel, (more, (0, 0))),
    )


def _shapes(one_lane: Any, rows: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct((*rows, *x.shape[1:]), x.dtype), one_lane)


def _blocks(tree: Any, axis: int, tiling: Tiling) -> Any:
    """Give each program the lanes that it plays, which are along `axis`."""

    def spec(x: Any) -> pl.BlockSpec:
        shape = (*x.shape[:axis], tiling.lanes, *x.shape[axis + 1 :])
        return pl.BlockSpec(shape, lambda i: tuple(i * (k == axis) for k in range(len(shape))))

    return jax.tree.map(spec, tree)


def _whole(x: Array) -> pl.BlockSpec:
    return pl.BlockSpec(x.shape, lambda _: (0,) * x.ndim)


class _Program(NamedTuple):
    """One program of the kernel; its arguments named `refs` are references to memory."""

    rollout: Rollout
    functions: _Functions
    tiling: Tiling
    mask: Array

    def play(self, lane_refs: Any, shared_refs: Any, end_refs: Any, row_refs: Trajectory) -> None:
        """Play the lanes of this program and write what comes of them."""
        layers, const_refs = shared_refs
        start, inputs, play_step, end = map(_bound, self.functions, const_refs)
        lanes, words = jax.tree.map(self.load, lane_refs)
        key, num_steps = [Key(*words)], self.rollout.num_steps

        def some_lane_alive(carry: Any) -> Array:
            t, lanes, _ = carry
            return (t < num_steps) & (jnp.max(lanes.alive[0].astype(jnp.int32)) > 0)

        def step(carry: Any) -> Any:
            t, lanes, finished = carry
            outputs = _outputs(layers, inputs(lanes.obs))
            *carried, row = play_step(lanes, finished, key, [t], outputs)
            self.store(row_refs, row, t)
            return t + 1, *self.vectors(carried)

        def clear(t: Array) -> Array:
            self.store(row_refs, jax.tree.map(_zeros, self.functions.step.shapes[2]), t)
            return t + 1

        carry = (jnp.int32(0), lanes, self.vectors(start(lanes)))
        t, lanes, finished = lax.while_loop(some_lane_alive, step, carry)
        lax.while_loop(lambda t: t < num_steps, clear, t)
        self.store(end_refs, (lanes, end(lanes, finished)))

    def load(self, ref: Any) -> Elements:
        """Read an array [lanes, ...]: a vector for each of its elements."""
        return [
            pltriton.load(ref.at[index], mask=self.mask, other=np.zeros((), ref.dtype)[()])
            for index in _indices(ref.shape[1:])
        ]

    def store(self, refs: Any, values: Any, *row: Array) -> None:
        """Write elements to arrays [lanes, ...], or to a row of arrays [rows, lanes, ...]."""
        for ref, elements in zip(jax.tree.leaves(refs), leaves(values), strict=True):
            indices = _indices(ref.shape[1 + len(row) :])
            for index, element in zip(indices, self.vectors(elements), strict=True):
                pltriton.store(ref.at[(*row, *index)], element, mask=self.mask)

    def vectors(self, tree: Any) -> Any:
        """Return a tree with a vector of this program's lanes for each element."""
        return jax.tree.map(lambda x: broadcast(x, (self.tiling.lanes,)), tree)


def _mask(num_lanes: int, tiling: Tiling) -> Array:
    """Mark the lanes of a program that there are: the last program may have fewer than others."""
    return pl.program_id(0) * tiling.lanes + jnp.arange(tiling.lanes) < num_lanes


def _bound(function: LaneFunction, refs: Sequence[Any]) -> Callable[..., Any]:
    """Bind to a function the arrays that it closes over: known, or in memory."""
    in_memory = iter(refs)

    def elements(x: Any) -> Elements:
        if not isinstance(x, jax.core.Tracer):
            return known(x)
        ref = next(in_memory)
        return [ref[jnp.int32(i)] for i in range(x.size)]

    return functools.partial(function, [elements(x) for x in function.consts])


def _indices(shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Return an index for each element of arrays [lanes, *shape]."""
    return [(slice(None), *map(jnp.int32, index)) for index in np.ndindex(shape)]


def _zeros(x: jax.ShapeDtypeStruct) -> Elements:
    return [np.zeros((), x.dtype)[()]] * x.size


def _outputs(layers: Any, inputs: Elements) -> Elements:
    """Return the outputs of a `relu_mlp` whose `layers` are in memory."""
    hidden = layers.hidden_bias[:][None]
    for k, x in enumerate(inputs):
        hidden = hidden + x[:, None] * layers.hidden_kernel[jnp.int32(k), :][None]
    hidden = jnp.maximum(hidden, 0.0)
    return [
        jnp.sum(hidden * layers.out_kernel[:, jnp.int32(o)][None], axis=1)
        + layers.out_bias[jnp.int32(o)]
        for o in range(layers.out_bias.shape[0])
    ]
