"""Loops over blocks of rows that stop at the last living lane, also under `jax.vmap`.

A `while_loop` whose predicate is mapped over selects over its whole carry at every iteration. The
two reductions here reduce over a mapped axis as well, so that the predicates stay scalars: mapped
programs go on until the last of them is done.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap

Carry = TypeVar("Carry")


@custom_vmap
def any_lane(mask: Array) -> Array:
    """Return whether any element of `mask` is set, a scalar even under `jax.vmap`."""
    return jnp.any(mask)


@any_lane.def_vmap
def _any_lane_mapped(_axis_size: int, _in_batched: list[bool], mask: Array) -> tuple[Array, bool]:
    return any_lane(mask), False


@custom_vmap
def largest(x: Array) -> Array:
    """Return the largest element of `x`, a scalar even under `jax.vmap`."""
    return jnp.max(x)


@largest.def_vmap
def _largest_mapped(_axis_size: int, _in_batched: list[bool], x: Array) -> tuple[Array, bool]:
    return largest(x), False


def split_rows(tree: Any, block_rows: int) -> Any:
    """Reshape the leaves of `tree` from [T, N, ...] to [blocks, rows, ...].

    Blocks are equally long, with at most `block_rows` rows, and cut without regard to time steps.
    The last one is padded with zeros (False).
    """

    def split(x: Array) -> Array:
        x = x.reshape(-1, *x.shape[2:])
        rows = equal_parts(x.shape[0], block_rows)
        padding = -x.shape[0] % rows
        if padding:
            x = jnp.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(-1, rows, *x.shape[1:])

    return jax.tree.map(split, tree)


def equal_parts(total: int, longest: int) -> int:
    """Return the length of the fewest equal parts, none above `longest`, that cover `total`."""
    return -(-total // -(-total // longest))


def live_blocks(valid: Array) -> Array:
    """Return how many blocks of valid [blocks, rows] hold a valid row or come before one."""
    alive = jnp.any(valid, axis=1)
    return largest(jnp.where(alive, jnp.arange(1, alive.shape[0] + 1), 0))


def fold_blocks(
    body: Callable[[Carry, Any], Carry], carry: Carry, blocks: Any, num_blocks: Array
) -> Carry:
    """Fold `body(carry, block)` over the first `num_blocks` blocks of `blocks`."""
    return jax.lax.fori_loop(
        0, num_blocks, lambda i, c: body(c, jax.tree.map(lambda x: x[i], blocks)), carry
    )


def map_blocks(f: Callable[[Any], Array], blocks: Any, num_blocks: Array) -> Array:
    """Return `f(block)` stacked over the blocks; zeros beyond the first `num_blocks`."""
    total = jax.tree.leaves(blocks)[0].shape[0]
    block = jax.tree.map(lambda x: x[0], blocks)
    shape = jax.eval_shape(f, block)
    results = jnp.zeros((total, *shape.shape), shape.dtype)
    return jax.lax.fori_loop(
        0,
        num_blocks,
        lambda i, results: results.at[i].set(f(jax.tree.map(lambda x: x[i], blocks))),
        results,
    )
