"""What an update is made of, put together once."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import jax

from purejaxrl_reinforce.algorithm.blocks import Tuning, tuning
from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE, LaneAxis
from purejaxrl_reinforce.algorithm.networks.build import Networks, make_networks
from purejaxrl_reinforce.config import Config, require_config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.environments.environment import Environment

F = TypeVar("F", bound=Callable[..., Any])


class Setup(NamedTuple):
    """A configuration and its environment, networks and sizes; `axis` shards the lanes."""

    config: Config
    env: Environment
    networks: Networks
    tuning: Tuning
    axis: LaneAxis


def make_setup(config: Config, axis: LaneAxis = ONE_DEVICE) -> Setup:
    """Return the setup of a configuration.

    Raises:
        ValueError: its environment or its networks cannot be made, or jax_enable_x64 is set.
    """
    if jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError("training is in float32: unset jax_enable_x64 (JAX_ENABLE_X64)")
    require_config(config)
    env = environment.make(config.env, config.env_params)
    return Setup(config, env, make_networks(config, env), tuning(config), axis)


def jit(*static_argnames: str) -> Callable[[F], F]:
    """Return `jax.jit` as a decorator that keeps the types of a function, which jax's does not."""
    return cast(Callable[[F], F], functools.partial(jax.jit, static_argnames=static_argnames))
