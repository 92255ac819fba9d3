"""Lanes in columns and steps in rows of words, so that a GPU moves them in few operations.

A leaf [N, a, b] stands in a * b columns [N], which fuse with what makes them, where a whole array
would have to be put together first. A row is recorded in one operation whatever the number of its
leaves. Larger leaves stay as they are, and so do rows' leaves of other sizes than 4 bytes.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

# Leaves with more columns than this stay whole.
_MOST_COLUMNS = 16


def to_columns(tree: Any, axis: int = 0) -> Any:
    """Return the tree with each leaf [..., N, *trailing] in a tuple: of columns [..., N], or whole.

    Args:
        tree: of arrays.
        axis: of N.
    """
    return jax.tree.map(functools.partial(_columns, axis=axis), tree)


def from_columns(columns: Any, like: Any, axis: int = 0) -> Any:
    """Return the tree [..., *trailing] that these are columns [...] of.

    Args:
        columns: as `to_columns` has them.
        like: of this tree's structure, its leaves [..., N, *trailing].
        axis: of N in `like`.
    """

    def leaf(x: Any, parts: tuple[Array, ...]) -> Array:
        if not _is_split(x, axis):
            return parts[0]
        return jnp.stack(parts, axis=-1).reshape(*parts[0].shape, *x.shape[axis + 1 :])

    return jax.tree.map(leaf, like, columns)


def pointwise(packed: bool, f: Callable[..., Any], *trees: Any) -> Any:
    """Return f(*trees), where f works on each element [N, ...] alone; packed, by columns."""
    return from_columns(f(*map(to_columns, trees)), trees[0]) if packed else f(*trees)


def pack(tree: Any) -> tuple[Array, list[Array]]:
    """Return the leaves [N, ...] of a row as words [W, N], uint32, and what does not fit these.

    The last word holds the truth values of leaves [N], a bit each.
    """
    words, others = [], []
    leaves = jax.tree.leaves(tree)
    flags = jnp.zeros(leaves[0].shape[0], jnp.uint32)
    num_flags = 0
    for x in leaves:
        if _is_flag(x):
            flags |= x.astype(jnp.uint32) << num_flags
            num_flags += 1
        elif _is_words(x):
            words += [jax.lax.bitcast_convert_type(c, jnp.uint32) for c in _columns(x)]
        else:
            others.append(x)
    return jnp.stack([*words, flags]), others


def unpack(rows: tuple[Array, list[Array]], like: Any) -> Any:
    """Return the tree of packed rows: leaves [T, N, ...].

    Args:
        rows: words [T, W, N], and the others [T, N, ...].
        like: a row's shapes, [N, ...] each.
    """
    words, others = rows
    leaves, kept = [], iter(others)
    word, num_flags = 0, 0
    for x in jax.tree.leaves(like):
        if _is_flag(x):
            leaves.append((words[:, -1] >> num_flags & 1).astype(bool))
            num_flags += 1
        elif _is_words(x):
            size = math.prod(x.shape[1:])
            columns = jnp.moveaxis(words[:, word : word + size], 1, 2)
            columns = jax.lax.bitcast_convert_type(columns, x.dtype)
            leaves.append(columns.reshape(words.shape[0], *x.shape))
            word += size
        else:
            leaves.append(next(kept))
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _is_split(x: Any, axis: int) -> bool:
    return len(x.shape) > axis + 1 and math.prod(x.shape[axis + 1 :]) <= _MOST_COLUMNS


def _columns(x: Array, axis: int = 0) -> tuple[Array, ...]:
    if not _is_split(x, axis):
        return (x,)
    flat = x.reshape(*x.shape[: axis + 1], -1)
    return tuple(flat[..., i] for i in range(flat.shape[-1]))


def _is_flag(x: Any) -> bool:
    return x.dtype == jnp.bool_ and len(x.shape) == 1


def _is_words(x: Any) -> bool:
    return x.dtype.itemsize == 4 and (len(x.shape) == 1 or _is_split(x, 0))
