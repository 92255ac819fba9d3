"""REINFORCE with a baseline as pure functions: the algorithm and nothing else.

May import `config` and single files like it only, beside jax, flax, optax, chex, numpy and gymnax.
Importing any module of this room registers Config as a pytree: floats are its leaves, also those of
env_params; everything else is static. So are the setting jax_debug_nans, with which programs
differ, and whether an object was given by its name, which may by now stand for another.
"""

from typing import Any

import jax

from purejaxrl_reinforce.config import (
    FLOAT_FIELDS,
    OBJECT_FIELDS,
    STATIC_FIELDS,
    Config,
    EnvParams,
)

_LEAVES = (*FLOAT_FIELDS, "env_params")


def _flatten(config: Config) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    leaves = tuple(getattr(config, name) for name in _LEAVES)
    static = tuple(getattr(config, name) for name in STATIC_FIELDS)
    kinds = tuple(type(getattr(config, name)) for name in OBJECT_FIELDS)
    return leaves, (*static, jax.config.jax_debug_nans, kinds)  # type: ignore[attr-defined]


def _unflatten(static: tuple[Any, ...], leaves: tuple[Any, ...]) -> Config:
    # Not through __init__: its checks are for people, and jax puts tracers and markers in leaves.
    config = object.__new__(Config)
    for name, value in zip(STATIC_FIELDS + _LEAVES, static[:-2] + tuple(leaves), strict=True):
        object.__setattr__(config, name, value)
    return config


def _flatten_params(params: EnvParams) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    static = {name: value for name, value in params.items() if isinstance(value, int)}
    traced = {name: value for name, value in params.items() if name not in static}
    return tuple(traced.values()), (tuple(traced), tuple(static.items()))


def _unflatten_params(names: tuple[Any, ...], values: tuple[Any, ...]) -> EnvParams:
    traced, static = names
    return EnvParams({**dict(zip(traced, values, strict=True)), **dict(static)})


jax.tree_util.register_pytree_node(EnvParams, _flatten_params, _unflatten_params)
jax.tree_util.register_pytree_node(Config, _flatten, _unflatten)
