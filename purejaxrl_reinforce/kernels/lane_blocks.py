"""What the kernels share: blocks of lanes, one for each program, and a small ReLU network on them.

A lane's numbers are vectors [L] over the lanes of a program, as in `lane_vectors`. Only the network
works on tiles [L, H] of lanes by hidden units.
"""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import pallas as pl
from jax.experimental.pallas.triton import CompilerParams, load, store

from purejaxrl_reinforce.algorithm.networks.build import GaussianPolicy
from purejaxrl_reinforce.algorithm.networks.mlp import ReluMLPParams, relative_to_last
from purejaxrl_reinforce.algorithm.setup import Setup
from purejaxrl_reinforce.kernels.lane_vectors import (
    Elements,
    LaneFunction,
    broadcast,
    known,
    leaves,
)

# Lanes of a program, a power of two, and its warps of 32 threads. So few lanes that 64 of them
# occupy several multiprocessors; not measured on any GPU.
LANES, WARPS = 8, 1


class LaneBlock(NamedTuple):
    """The lanes of a program: their numbers, and which of them there are, [L] each."""

    numbers: Array
    mask: Array

    def load(self, ref: Any, *row: Array) -> Elements:
        """Read an array [L, ...], or a row of an array [rows, L, ...]: a vector per element."""
        return [
            load(ref.at[(*row, *index)], mask=self.mask, other=np.zeros((), ref.dtype)[()])
            for index in _indices(ref.shape[1 + len(row) :])
        ]

    def store(self, refs: Any, values: Any, *row: Array) -> None:
        """Write elements to arrays [L, ...], or to a row of arrays [rows, L, ...]."""
        for ref, elements in zip(jax.tree.leaves(refs), leaves(values), strict=True):
            indices = _indices(ref.shape[1 + len(row) :])
            for index, element in zip(indices, self.vectors(elements), strict=True):
                store(ref.at[(*row, *index)], element, mask=self.mask)

    def vectors(self, tree: Any) -> Any:
        """Return a tree with a vector of this program's lanes for each element."""
        return jax.tree.map(lambda x: broadcast(x, (LANES,)), tree)


def this_block(num_lanes: int) -> LaneBlock:
    """Return the block of the program that runs: the last one may have fewer lanes than others."""
    lanes = pl.program_id(0) * LANES + jnp.arange(LANES)
    return LaneBlock(lanes, lanes < num_lanes)


def launch(setup: Setup, program: Callable[..., None], **options: Any) -> Callable[..., Any]:
    """Return a function of arrays: `program` on each point of the grid, on any device if asked."""
    # Since jax 0.11 it is said of this backend where a program is lowered, right after this.
    warnings.filterwarnings("ignore", "The Pallas Triton backend is deprec", DeprecationWarning)
    options["compiler_params"] = CompilerParams(num_warps=WARPS, num_stages=1)
    options["interpret"] = setup.config.engine == "interpret"
    return pl.pallas_call(program, **options)


def by_lanes(tree: Any, axis: int) -> Any:
    """Give each program its lanes, which are along `axis`; the grid's first axis counts blocks."""

    def spec(x: Any) -> pl.BlockSpec:
        shape = (*x.shape[:axis], LANES, *x.shape[axis + 1 :])
        return pl.BlockSpec(shape, lambda i, *_: tuple(i * (k == axis) for k in range(len(shape))))

    return jax.tree.map(spec, tree)


def whole(x: Array) -> pl.BlockSpec:
    """Give each program all of an array."""
    return pl.BlockSpec(x.shape, lambda *_: (0,) * x.ndim)


def some(mask: Array) -> Array:
    """Return whether any lane of a program is marked, ()."""
    return jnp.max(mask.astype(jnp.int32)) > 0


def _indices(shape: tuple[int, ...]) -> list[tuple[Any, ...]]:
    """Return an index for each element of arrays [L, *shape]."""
    return [(slice(None), *map(jnp.int32, index)) for index in np.ndindex(shape)]


def traced(consts: Sequence[Any]) -> list[Array]:
    """Return the constants that are arguments of the kernel, flat: those not known to it."""
    return [jnp.ravel(x) for x in consts if isinstance(x, jax.core.Tracer)]


def bound(function: LaneFunction, refs: Sequence[Any]) -> Callable[..., Any]:
    """Bind to a function the arrays that it closes over: known, or in memory (`traced`)."""
    in_memory = iter(refs)

    def elements(x: Any) -> Elements:
        if not isinstance(x, jax.core.Tracer):
            return known(x)
        ref = next(in_memory)
        return [ref[jnp.int32(i)] for i in range(x.size)]

    return functools.partial(function, [elements(x) for x in function.consts])


def padded(layers: ReluMLPParams) -> ReluMLPParams:
    """Add hidden units that do nothing, up to a power of two."""
    width = layers.hidden_bias.shape[0]
    more = (0, pl.next_power_of_2(width) - width)
    return layers._replace(
        hidden_kernel=jnp.pad(layers.hidden_kernel, ((0, 0), more)),
        hidden_bias=jnp.pad(layers.hidden_bias, more),
        out_kernel=jnp.pad(layers.out_kernel, (more, (0, 0))),
    )


def hidden_units(layers: Any, inputs: Elements) -> Array:
    """Return the hidden units, [L, H], of a `relu_mlp` whose `layers` are in memory."""
    hidden = layers.hidden_bias[:][None]
    for k, x in enumerate(inputs):
        hidden = hidden + x[:, None] * layers.hidden_kernel[jnp.int32(k), :][None]
    return jnp.maximum(hidden, 0.0)


def outputs(layers: Any, hidden: Array) -> Elements:
    """Return the outputs of a `relu_mlp` for its hidden units [L, H]."""
    return [
        jnp.sum(hidden * layers.out_kernel[:, jnp.int32(o)][None], axis=1)
        + layers.out_bias[jnp.int32(o)]
        for o in range(layers.out_bias.shape[0])
    ]


def policy_parts(setup: Setup, params: Any) -> tuple[ReluMLPParams, tuple[Array, ...]]:
    """Return the layers of a policy, and further arguments of its `distribution`."""
    layers = layers_of(params)
    if isinstance(setup.networks.policy, GaussianPolicy):
        return layers, (params["params"]["log_std"],)
    return ReluMLPParams(*layers[:2], *map(relative_to_last, layers[2:])), ()


def layers_of(params: Any) -> ReluMLPParams:
    """Return the layers of a policy or baseline with one hidden layer of ReLUs."""
    hidden, out = params["params"]["mlp"]["hidden_0"], params["params"]["mlp"]["out"]
    return ReluMLPParams(hidden["kernel"], hidden["bias"], out["kernel"], out["bias"])
