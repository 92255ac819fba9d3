"""The device axis of lanes; keys of lanes, and keys that callers pass."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.flatten_util import ravel_pytree

# Keys of another kind draw bits that are correlated between keys, or that depend on `jax.vmap`.
_KIND = "threefry2x32"

# Training makes keys from a run's key and the numbers from 0, which are below 2**31.
_EVALUATION = 2**32 - 1


class LaneAxis(NamedTuple):
    """The device axis (`jax.shard_map`) that lanes are sharded over; None: all lanes are here."""

    name: str | None = None

    @property
    def is_sharded(self) -> bool:
        """Whether there are lanes on other devices."""
        return self.name is not None and lax.axis_size(self.name) > 1

    def sum(self, tree: Any) -> Any:
        """Add up floats over all shards, in one collective whatever the number of leaves."""
        if not self.is_sharded:
            return tree
        flat, unflatten = ravel_pytree(tree)
        return unflatten(lax.psum(flat, self.name))

    def gather(self, tree: Any) -> Any:
        """Return the scalars of each shard, of 4 bytes, [shards], in one collective for all."""
        if not self.is_sharded:
            return jax.tree.map(lambda x: x[None], tree)
        leaves, structure = jax.tree.flatten(tree)
        words = jnp.stack([lax.bitcast_convert_type(x, jnp.int32) for x in leaves])
        columns = lax.all_gather(words, self.name, axis=1)
        gathered = map(lax.bitcast_convert_type, columns, [x.dtype for x in leaves])
        return jax.tree.unflatten(structure, gathered)

    def whole(self, tree: Any, dimension: int) -> Any:
        """Return arrays of the lanes of all devices, which follow each other in a dimension."""
        if not self.is_sharded:
            return tree
        options: Any = {"axis": dimension, "tiled": True}
        return jax.tree.map(lambda x: lax.all_gather(x, self.name, **options), tree)

    def keys(self, key: Array, num_lanes: int) -> Array:
        """Return a key for each of the `num_lanes` lanes that are here, [num_lanes].

        A lane's key depends on `key` and the lane's number among all lanes, not on the sharding.
        """
        numbers = self.first_lane(num_lanes) + jnp.arange(num_lanes)
        return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)

    def first_lane(self, num_lanes: int) -> Array | int:
        """Return the number among all lanes of the first of the `num_lanes` that are here."""
        return 0 if self.name is None else lax.axis_index(self.name) * num_lanes


ONE_DEVICE = LaneAxis()


def key_of(seed: int) -> Array:
    """Return `jax.random.key(seed)` of a seed below 2**32, without compiling anything."""
    if str(jax.config.values["jax_default_prng_impl"]) != _KIND:
        return jax.random.key(seed)
    word = (seed + jax.config.values["jax_random_seed_offset"]) % 2**32
    data: Any = np.array([0, word], np.uint32)
    return jax.random.wrap_key_data(data)


def checked_key(key: Array) -> Array:
    """Return `key` as a typed key of shape (); one of `jax.random.PRNGKey` is wrapped.

    Raises:
        ValueError: it is no such key.
    """
    legacy = getattr(key, "dtype", None) == jnp.uint32 and key.shape == (2,)
    key = jax.random.wrap_key_data(key, impl=_KIND) if legacy else key
    if not jax.dtypes.issubdtype(getattr(key, "dtype", int), jax.dtypes.prng_key) or key.ndim:
        raise ValueError(f"key must be one typed key, as of jax.random.key(0), not {key!r:.200}")
    kind = str(jax.random.key_impl(key))
    if kind != _KIND:
        raise ValueError(f"key must be of the kind {_KIND}, jax's default, not {kind}")
    return key


@functools.cache  # each call would trace anew
def key_shape() -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of a typed key, ()."""
    return jax.eval_shape(lambda: jax.random.key(0))


def evaluation_key(key: Array) -> Array:
    """Return a key that training from the same `key` never uses; errors are those above."""
    return jax.random.fold_in(checked_key(key), _EVALUATION)
