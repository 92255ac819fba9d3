"""Values and returns in one launch: a Pallas kernel for NVIDIA GPUs that walks time backwards.

Each program holds a few lanes. At each time step it computes V(s) with the hidden units in
registers and continues the recursion of `returns.discounted_returns`. Normalized advantages need
the statistics of the whole batch first, so learning takes two passes over the trajectory: this one,
which leaves the moments of each lane, and that of `kernels.gradients`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl

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
from purejaxrl_reinforce.algorithm.kernels.lane_vectors import LaneFunction, trace
from purejaxrl_reinforce.algorithm.networks.relu_mlp import ReluMLPParams
from purejaxrl_reinforce.algorithm.rollout import Trajectory


class LaneMoments(NamedTuple):
    """Mean, and sum of the squared differences from it, over the valid steps of each lane, [N]."""

    mean: Array
    squares: Array


class LaneTargets(NamedTuple):
    """What comes of a trajectory.

    Attributes:
        returns: G_t, [T, N].
        values: V(s_t), [T, N]; 0 at invalid steps and without a network.
        num_steps: valid steps of each lane, [N] int32.
        of_returns: moments of G_t.
        of_advantages: moments of G_t - V(s_t).
    """

    returns: Array
    values: Array
    num_steps: Array
    of_returns: LaneMoments
    of_advantages: LaneMoments


def targets_in_one_launch(
    trajectory: Any,
    layers: ReluMLPParams | None,
    inputs: Callable[[Array], Array] | None,
    gamma: Array | float,
    trace_lambda: Array | float,
    tiling: Tiling = DEFAULT_TILING,
    interpret: bool = False,
) -> LaneTargets:
    """Return the returns of a trajectory and the values of a baseline network, if there is one.

    Cut returns bootstrap from the baseline where the trajectory has `next_obs`.

    Args:
        trajectory: a `Trajectory`.
        layers: of the baseline network, None where there is none.
        inputs: gives its inputs [N, K] from observations [N, ...].
        gamma: discount per step, ().
        trace_lambda: trace within an episode, ().
        tiling: lanes and warps of a program.
        interpret: run on any device, slowly.
    """
    shape = trajectory.valid.shape
    trajectory = trajectory._replace(action=None)
    function = None
    if layers is not None and inputs is not None:
        function, layers = trace(inputs, trajectory.obs[0, :1]), padded(layers)
    settings = [jnp.reshape(jnp.float32(x), 1) for x in (gamma, trace_lambda)]
    shared = (layers, traced(function.consts) if function else [], settings)
    results = _result_shapes(shape)
    specs = results._replace(
        **{name: by_lanes(x, name in _BY_ROW, tiling) for name, x in results._asdict().items()}
    )
    call = pl.pallas_call(
        lambda *refs: _Program(function, this_block(shape[1], tiling), *refs).walk(),
        grid=(pl.cdiv(shape[1], tiling.lanes),),
        in_specs=[by_lanes(trajectory, 1, tiling), *jax.tree.map(whole, shared)],
        out_specs=[specs],
        out_shape=[results],
        compiler_params=tiling.params(),
        interpret=interpret,
        name="targets",
    )
    (results,) = call(trajectory, *shared)
    return results


_BY_ROW = ("returns", "values")


def _result_shapes(shape: tuple[int, int]) -> LaneTargets:
    rows: Any = jax.ShapeDtypeStruct(shape, jnp.float32)
    lane: Any = jax.ShapeDtypeStruct(shape[1:], jnp.float32)
    counts: Any = jax.ShapeDtypeStruct(shape[1:], jnp.int32)
    return LaneTargets(rows, rows, counts, LaneMoments(lane, lane), LaneMoments(lane, lane))


class _Step(NamedTuple):
    """What the next step of each lane hands back to the one before it, [L]."""

    valid: Array
    value: Array
    g: Array


class _Program(NamedTuple):
    """One program of the kernel; `rows`, `layers`, `consts` and so on are references to memory."""

    inputs: LaneFunction | None
    block: LaneBlock
    rows: Trajectory
    layers: Any
    consts: Any
    settings: Any
    results: LaneTargets

    def walk(self) -> None:
        """Walk from the last time step to the first."""
        num_steps = self.rows.valid.shape[0]

        def nothing_played(t: Array) -> Array:
            return (t >= 0) & ~some(self._row(self.rows.valid, jnp.maximum(t, 0)))

        def clear(t: Array) -> Array:
            self.block.store(self.results[:2], ([jnp.float32(0)], [jnp.float32(0)]), t)
            return t - 1

        zeros = jnp.zeros(self.block.num_lanes)
        none = jnp.zeros(self.block.num_lanes, jnp.int32)
        moments = LaneMoments(zeros, zeros)
        at_cut = self._value(self.rows.next_obs, jnp.int32(0)) if self._cut_once else zeros
        after = _Step(none > 0, zeros, zeros)
        t = lax.while_loop(nothing_played, clear, jnp.int32(num_steps - 1))
        carry = (t, after, (none, moments, moments))

        def step(carry: Any) -> Any:
            t, after, (number, of_returns, of_advantages) = carry
            now = self._step(t, after, at_cut)
            self.block.store(self.results[:2], ([now.g], [now.value]), t)
            number = number + now.valid.astype(jnp.int32)
            of_returns = _with(of_returns, now.g, now.valid, number)
            of_advantages = _with(of_advantages, now.g - now.value, now.valid, number)
            return t - 1, now, (number, of_returns, of_advantages)

        *_, counts = lax.while_loop(lambda carry: carry[0] >= 0, step, carry)
        self.block.store(self.results[2:], jax.tree.map(lambda x: [x], counts))

    @property
    def _cut_once(self) -> bool:
        """Whether each lane is cut once at most, and has one observation after that."""
        return self.rows.next_obs is not None and self.rows.next_obs.shape[0] == 1

    def _step(self, t: Array, after: _Step, at_cut: Array) -> _Step:
        gamma, trace_lambda = (x[jnp.int32(0)] for x in self.settings)
        valid, terminated, truncated = (
            self._row(x, t) for x in (self.rows.valid, self.rows.terminated, self.rows.truncated)
        )
        goes_on = after.valid & ~truncated
        if self.rows.next_obs is not None and not self._cut_once:
            is_cut = valid & ~goes_on & ~terminated
            value_at_cut = lambda: self._value(self.rows.next_obs, t)  # noqa: E731
            at_cut = lax.cond(some(is_cut), value_at_cut, lambda: jnp.zeros_like(at_cut))
        trace = jnp.where(goes_on, trace_lambda, 0.0)
        future = (1 - trace) * jnp.where(goes_on, after.value, at_cut) + trace * after.g
        g = self._row(self.rows.reward, t) + jnp.where(terminated, 0.0, gamma) * future
        value = jnp.zeros_like(g) if self.inputs is None else self._value(self.rows.obs, t)
        return _Step(valid, jnp.where(valid, value, 0.0), jnp.where(valid, g, 0.0))

    def _row(self, ref: Any, t: Array) -> Array:
        (element,) = self.block.load(ref, t)
        return element

    def _value(self, ref: Any, t: Array) -> Array:
        """Return V(s), [L], of the observations in a row."""
        assert self.inputs is not None
        inputs = bound(self.inputs, self.consts)(self.block.load(ref, t))
        (value,) = outputs(self.layers, hidden_units(self.layers, self.block.vectors(inputs)))
        return value


def _with(moments: LaneMoments, x: Array, valid: Array, number: Array) -> LaneMoments:
    """Add x [L] where it is valid: it is then a lane's `number`-th (Welford, 1962)."""
    change = jnp.where(valid, x - moments.mean, 0.0)
    mean = moments.mean + change / jnp.maximum(number, 1).astype(jnp.float32)
    return LaneMoments(mean, moments.squares + change * jnp.where(valid, x - mean, 0.0))
