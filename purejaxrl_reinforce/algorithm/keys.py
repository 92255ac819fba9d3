"""Keys that callers hand in: their kind, and what they are used for."""

import functools

import jax
from jax import Array

# Keys of another kind draw bits that are correlated between keys, or that depend on `jax.vmap`.
_KIND = "threefry2x32"

# Training makes keys from a run's key and the numbers from 0, which are below 2**31.
_EVALUATION = 2**32 - 1


def checked_key(key: Array) -> Array:
    """Return `key`, a typed key of shape (), in a jax that computes in float32.

    Raises:
        ValueError: it is no such key, or jax_enable_x64 is set.
    """
    if jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError("training is in float32: unset jax_enable_x64 (JAX_ENABLE_X64)")
    if not jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) or key.ndim:
        raise ValueError(f"key must be one typed key, as of jax.random.key(0), not {_kind_of(key)}")
    kind = str(jax.random.key_impl(key))
    if kind != _KIND:
        raise ValueError(f"key must be of the kind {_KIND}, jax's default, not {kind}")
    return key


def _kind_of(key: Array) -> str:
    if key.dtype == "uint32" and key.shape == (2,):
        return "the two numbers of jax.random.PRNGKey"
    return "a number" if not key.ndim else f"{key.dtype}{list(key.shape)}"


@functools.cache  # each call would trace anew
def key_shape() -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of a typed key, ()."""
    return jax.eval_shape(lambda: jax.random.key(0))


@functools.cache
def key_data_shape() -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of a typed key's data."""
    return jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0)))


def evaluation_key(key: Array) -> Array:
    """Return a key that training from the same `key` never uses; errors are those above."""
    return jax.random.fold_in(checked_key(key), _EVALUATION)
