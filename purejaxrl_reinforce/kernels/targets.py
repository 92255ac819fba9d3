"""Values and returns in one launch: a Pallas kernel for NVIDIA GPUs that walks time backwards.

Each program holds a few lanes. At each time step it computes V(s) with the hidden units in
registers and continues the recursion of `returns.lambda_returns`. Normalized advantages need the
statistics of the whole batch first, which XLA computes of what this kernel leaves.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl

from purejaxrl_reinforce.algorithm.losses import Targets, targets_from
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.returns import BatchStatistics
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.setup import Setup
from purejaxrl_reinforce.kernels import lane_blocks as blocks
from purejaxrl_reinforce.kernels.lane_blocks import LaneBlock
from purejaxrl_reinforce.kernels.lane_vectors import LaneFunction, trace


def make_targets(
    setup: Setup, params: Params, trajectory: Trajectory
) -> tuple[Targets, BatchStatistics]:
    """Compute the same as `losses.make_targets`."""
    config, layers, function, trace_lambda = setup.config, None, None, 1.0
    if config.baseline == "value":
        assert setup.networks.baseline is not None  # why_not_lowered refuses shared ones
        inputs = setup.networks.baseline.network.inputs
        layers = blocks.padded(blocks.layers_of(params.baseline))
        function, trace_lambda = trace(inputs, trajectory.obs[0, :1]), config.trace_lambda
    consts = blocks.traced(function.consts) if function else []
    settings = [jnp.reshape(jnp.float32(x), 1) for x in (config.gamma, trace_lambda)]
    unused: dict[str, Any] = {"action": None}
    rows, shared = trajectory._replace(**unused), (layers, consts, settings)
    shape = jax.ShapeDtypeStruct(trajectory.valid.shape, jnp.float32)
    num_lanes = trajectory.valid.shape[1]
    call = blocks.launch(
        setup,
        lambda *refs: _walk(function, blocks.this_block(num_lanes), *refs),
        grid=(pl.cdiv(num_lanes, blocks.LANES),),
        name="targets",
        in_specs=[blocks.by_lanes(rows, 1), *jax.tree.map(blocks.whole, shared)],
        out_specs=blocks.by_lanes([shape, shape], 1),
        out_shape=[shape, shape],
    )
    returns, values = call(rows, *shared)
    return targets_from(setup, returns, values, trajectory.valid)


class _Step(NamedTuple):
    """What the next step of each lane hands back to the one before it, [L]."""

    valid: Array
    value: Array
    g: Array


def _walk(function: LaneFunction | None, block: LaneBlock, *refs: Any) -> None:
    """Walk from the last time step of a program's lanes to the first; `refs` are in memory."""
    rows, layers, consts, settings, *outputs = refs
    gamma, trace_lambda = (x[jnp.int32(0)] for x in settings)
    zeros = jnp.zeros(blocks.LANES)
    values_of = functools.partial(_values, function, block, layers, consts)
    # Each lane is then cut once at most, and has one observation after that.
    cut_once = rows.next_obs is not None and rows.next_obs.shape[0] == 1
    at_end = values_of(block.mask, rows.next_obs, jnp.int32(0)) if cut_once else zeros

    def step(carry: Any) -> Any:
        t, after = carry
        valid, terminated, truncated, reward = (
            block.load(x, t)[0] for x in (rows.valid, rows.terminated, rows.truncated, rows.reward)
        )
        goes_on, at_cut = after.valid & ~truncated, at_end
        if rows.next_obs is not None and not cut_once:
            at_cut = values_of(valid & ~goes_on & ~terminated, rows.next_obs, t)
        lambda_ = jnp.where(goes_on, trace_lambda, 0.0)
        future = (1 - lambda_) * jnp.where(goes_on, after.value, at_cut) + lambda_ * after.g
        g = reward + jnp.where(terminated, 0.0, gamma) * future
        value = zeros if function is None else values_of(valid, rows.obs, t)
        now = _Step(valid, jnp.where(valid, value, 0.0), jnp.where(valid, g, 0.0))
        block.store(outputs, ([now.g], [now.value]), t)
        return t - 1, now

    last = jnp.int32(rows.valid.shape[0] - 1)
    lax.while_loop(lambda carry: carry[0] >= 0, step, (last, _Step(zeros > 0, zeros, zeros)))


def _values(
    function: Any, block: LaneBlock, layers: Any, consts: Any, needed: Array, ref: Any, t: Array
) -> Array:
    """Return V(s), [L], of the observations in a row; 0 where no lane needs it."""

    def values() -> Array:
        inputs = blocks.bound(function, consts)(block.load(ref, t))
        (value,) = blocks.outputs(layers, blocks.hidden_units(layers, block.vectors(inputs)))
        return value

    return lax.cond(blocks.some(needed), values, lambda: jnp.zeros(blocks.LANES))
