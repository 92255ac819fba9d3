"""REINFORCE with a baseline as pure functions: the algorithm and nothing else.

May import `config` only, beside jax, flax, optax, chex, numpy and gymnax. Importing any module of
this room registers Config as a pytree: floats are its leaves, everything else is static.
"""

from typing import Any

import jax

from purejaxrl_reinforce.config import FLOAT_FIELDS, STATIC_FIELDS, Config


def _flatten(config: Config) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    floats = tuple(getattr(config, name) for name in FLOAT_FIELDS)
    return floats, tuple(getattr(config, name) for name in STATIC_FIELDS)


def _unflatten(static: tuple[Any, ...], floats: tuple[Any, ...]) -> Config:
    # Not through __init__: its checks are for people, and jax puts tracers and markers in leaves.
    config = object.__new__(Config)
    for name, value in zip(STATIC_FIELDS + FLOAT_FIELDS, static + tuple(floats), strict=True):
        object.__setattr__(config, name, value)
    return config


jax.tree_util.register_pytree_node(Config, _flatten, _unflatten)
