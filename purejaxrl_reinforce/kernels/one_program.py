"""A function of small arrays in one launch: a Pallas kernel with one program for NVIDIA GPUs.

XLA launches a kernel for nearly every array of another size; an optimizer's step is all of them.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as pltriton
from jax.extend.core import jaxpr_as_fun

from purejaxrl_reinforce.algorithm.batching import LaneAxis, split_rows

# "interpret" runs a kernel step by step on any device, slowly.
KernelEngine = Literal["xla", "kernel", "interpret"]

# More numbers than these do not fit into the registers of a program.
MOST_NUMBERS = 2**15
# Lanes that are summarized apart, before one program takes what comes of them.
MOST_CHUNKS = 1024


def in_one_program(
    engine: KernelEngine, function: Callable[..., Any], *args: Any, in_place: bool = False
) -> Any:
    """Return `function(*args)`, which one program computes if the engine is not XLA.

    An array then reaches `function` as a vector of its elements, with zeros behind them up to a
    power of two. So there may be elementwise operations of arrays of one shape and scalars, and
    sums, maxima and minima of whole arrays.

    Args:
        engine: XLA also computes what has more than MOST_NUMBERS numbers.
        function: of trees of arrays; it closes over no arrays.
        args: trees of arrays.
        in_place: the first result, a tree like the first argument, takes its place in memory. Each
            of its elements may be read again once it is written: then it must become the same.
    """
    if engine == "xla" or sum(jnp.size(x) for x in jax.tree.leaves(args)) > MOST_NUMBERS:
        return function(*args)
    leaves, structure = jax.tree.flatten(jax.tree.map(jnp.asarray, args))
    results, out_structure = jax.tree.flatten(jax.eval_shape(function, *args))

    def program(*refs: Any) -> None:
        read = [_read(ref, x) for ref, x in zip(refs, leaves, strict=False)]
        values = _evaluate(function, *jax.tree.unflatten(structure, read))
        for ref, value, x in zip(refs[len(leaves) :], values, results, strict=True):
            _write(ref, value, x)

    aliased = len(jax.tree.leaves(args[0])) if in_place else 0
    flat = pl.pallas_call(
        program,
        grid=(1,),
        in_specs=[_spec(x) for x in leaves],
        out_specs=[_spec(x) for x in results],
        out_shape=[jax.ShapeDtypeStruct((math.prod(x.shape),), x.dtype) for x in results],
        input_output_aliases={i: i for i in range(aliased)},
        compiler_params=pltriton.CompilerParams(num_warps=8, num_stages=1),
        interpret=engine == "interpret",
        name=getattr(function, "__name__", "program").strip("_"),
    )(*map(jnp.ravel, leaves))
    shaped = [x.reshape(like.shape) for x, like in zip(flat, results, strict=True)]
    return jax.tree.unflatten(out_structure, shaped)


def _evaluate(function: Callable[..., Any], *args: Any) -> list[Array]:
    """Return the leaves of `function(*args)`, without copies, which Pallas does not take."""
    closed = jax.make_jaxpr(function)(*args)
    eqns = [
        eqn.replace(
            primitive=lax.convert_element_type_p,
            params={"new_dtype": eqn.outvars[0].aval.dtype, "weak_type": False, "sharding": None},
        )
        if eqn.primitive.name == "copy"
        else eqn
        for eqn in closed.jaxpr.eqns
    ]
    whole = closed.replace(jaxpr=closed.jaxpr.replace(eqns=eqns))
    values: list[Array] = jaxpr_as_fun(whole)(*jax.tree.leaves(args))
    return values


def _spec(x: Any) -> pl.BlockSpec:
    return pl.BlockSpec((pl.next_power_of_2(math.prod(x.shape)),), lambda _: (0,))


def _read(ref: Any, x: Any) -> Array:
    if x.ndim == 0:
        return ref[jnp.int32(0)]
    return pltriton.load(ref.at[:], mask=_mask(ref, x), other=jnp.zeros((), x.dtype))


def _write(ref: Any, value: Array, x: Any) -> None:
    if x.ndim == 0:
        ref[jnp.int32(0)] = value
    else:
        pltriton.store(ref.at[:], value, mask=_mask(ref, x))


def _mask(ref: Any, x: Any) -> Array:
    return jnp.arange(ref.shape[0]) < math.prod(x.shape)


def summaries(summarize: Callable[[Any], Any], tree: Any, axis: LaneAxis) -> Any:
    """Return summaries of at most MOST_CHUNKS chunks of lanes, [chunks]; of all if more are apart.

    Args:
        summarize: makes of lanes [N] a summary (), which is itself a lane's; zeros are none.
        tree: of the lanes, [N].
        axis: the device axis the lanes are sharded over.
    """
    num_lanes = jax.tree.leaves(tree)[0].shape[0]
    if num_lanes > MOST_CHUNKS:
        rows = jax.tree.map(lambda x: x[None], tree)
        tree = jax.vmap(summarize)(split_rows(rows, pl.cdiv(num_lanes, MOST_CHUNKS)))
    return tree if axis.is_one_device() else summarize(tree)
