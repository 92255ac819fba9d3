"""Gymnax environments as batched functions.

It is imported when an environment is made: that takes seconds, and starts jax, after which nobody
can choose its devices.
"""

import dataclasses
import functools
import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce.config import LARGEST_FLOAT, NO_PARAMS, Config, nearest, require_config
from purejaxrl_reinforce.deferred import deferred_imports
from purejaxrl_reinforce.environments.env_params import changed
from purejaxrl_reinforce.environments.own import own_environment, space_mistake
from purejaxrl_reinforce.tasks import TIME_LIMIT

# Environments that differ from a registered one by their parameters only.
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "CartPole-v0": ("CartPole-v1", {"max_steps_in_episode": 200}),
}


class StepResult(NamedTuple):
    """The outcome of a step of N lanes: obs [N, ...] before any reset, the rest [N]."""

    obs: Array
    env_state: Any
    reward: Array
    terminated: Array
    truncated: Array


@dataclasses.dataclass(frozen=True)
class Environment:
    """A gymnax environment played in lanes.

    Attributes:
        name: its id.
        time_limit: the longest episode, in steps.
        num_obs: number of values of a discrete observation, None for real-valued ones.
        num_actions: number of discrete actions, None for continuous ones.
        action_shape: () or (D,).
        env_params: parameters that are not its own defaults.
    """

    name: str
    time_limit: int
    num_obs: int | None
    num_actions: int | None
    action_shape: tuple[int, ...]
    env_params: Mapping[str, Any]
    _env: Any
    _params: Any
    _ends_at_limit: bool

    @property
    def is_of_gymnax(self) -> bool:
        """Whether it comes with gymnax: a user can register others under any name."""
        return type(self._env).__module__.startswith("gymnax.")

    @property
    def obs_space(self) -> str:
        """The observation space in words."""
        return _in_words(self._env.observation_space(self._params))

    @property
    def obs_shape(self) -> tuple[int, ...]:
        """Shape of one observation."""
        return tuple(self._env.observation_space(self._params).shape)

    def action_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of a continuous action, [D]; a ValueError if they are traced."""
        space = self._env.action_space(self._params)
        if any(isinstance(bound, jax.core.Tracer) for bound in (space.low, space.high)):
            raise ValueError(
                f"action='squash' needs constant bounds, and the action bounds of {self.name}"
                " follow from a parameter in env_params; leave it out, or use action='clip'"
            )
        with jax.ensure_compile_time_eval():
            low, high = (np.asarray(bound, np.float32) for bound in (space.low, space.high))
        return np.broadcast_to(low, self.action_shape), np.broadcast_to(high, self.action_shape)

    @property
    def action_space(self) -> str:
        """The action space in words."""
        return _in_words(self._env.action_space(self._params))

    def reset(self, keys: Array) -> tuple[Array, Any]:
        """Return the observations [N, ...] and states of N fresh episodes, one for each key."""
        return jax.vmap(self._env.reset_env, in_axes=(0, None))(keys, self._params)

    def step(self, keys: Array, env_state: Any, action: Array) -> StepResult:
        """Take one step in each of N lanes, without any reset; actions are [N] or [N, D].

        Actions outside a continuous action space are clipped to it. Where an environment uses no
        randomness in its steps, the compiler drops what makes the keys.
        """
        return jax.vmap(self._step_lane)(keys, env_state, action)

    def clip(self, action: Array) -> Array:
        """Return actions within the bounds of a continuous action space; others as they are."""
        if self.num_actions is not None:
            return action
        space = self._env.action_space(self._params)
        return jnp.clip(action, space.low, space.high)

    def _step_lane(self, key: Array, env_state: Any, action: Array) -> StepResult:
        obs, env_state, reward, terminated, _ = self._env.step_env(
            key, env_state, self.clip(action), self._params
        )
        terminated = jnp.asarray(terminated, bool)
        truncated = jnp.asarray(self._env.is_truncated(env_state, self._params), bool)
        if self._ends_at_limit:
            terminated &= ~truncated
        reward = jnp.asarray(reward, jnp.float32).reshape(())
        return StepResult(obs, env_state, reward, terminated, truncated)


def make(name: str, env_params: Mapping[str, Any] = NO_PARAMS) -> Environment:
    """Return the environment that `Config.env` names, with these parameters.

    Raises:
        ValueError: none has that name, one of the user's own is not as it must be, its observation
            or action space is not supported, or it has no such parameter.
    """
    # Constants of gymnax's modules and of the environment must not become tracers when the first
    # call comes from inside a transformation: Python caches the ones, `_loaded` the others.
    with jax.ensure_compile_time_eval():
        env = _loaded(name)
    if not env_params:
        return env
    params = changed(name, env._params, env_params)
    return _described(name, env_params, env._env, params, env._ends_at_limit)


def checked(config: Config) -> Config:
    """Return `config` with env_params in the types of the environment's; errors are `make`'s."""
    require_config(config)
    params = make(config.env, config.env_params)._params
    # A time limit is a whole number to us, whatever it is to the environment.
    typed = {name: getattr(params, name) for name in config.env_params if name != TIME_LIMIT}
    return dataclasses.replace(config, env_params={**config.env_params, **typed})


@functools.cache
def _gymnax() -> Any:
    """Return gymnax, which keeps stand-ins for what its plots need."""
    with deferred_imports():
        return importlib.import_module("gymnax")


@functools.lru_cache(maxsize=None, typed=True)  # a name may stand for another object than a Named
def _loaded(name: str) -> Environment:
    gymnax = _gymnax()
    if ":" in name:
        return _described(name, NO_PARAMS, *own_environment(name))
    registered, overrides = ALIASES.get(name, (name, {}))
    if registered not in gymnax.registered_envs:
        module, _, of_module = name.rpartition(".")
        near = f"; write your own as {module}:{of_module}" if module else ""
        near = near or nearest(name, [*gymnax.registered_envs, *ALIASES], cutoff=0)
        raise ValueError(f"unknown environment {name!r}{near}")
    try:
        env, params = gymnax.make(registered)
    except Exception as error:  # whatever its constructor does, such as fetch data
        raise ValueError(f"environment {registered!r} cannot be made: {error}") from None
    return _described(name, NO_PARAMS, env, dataclasses.replace(params, **overrides))


def _described(
    name: str, env_params: Mapping[str, Any], env: Any, params: Any, ends_at_limit: bool = False
) -> Environment:
    from gymnax.environments import spaces

    obs, action = env.observation_space(params), env.action_space(params)
    if mistake := space_mistake(env, params):
        raise ValueError(f"{name}: {mistake}")
    is_discrete = isinstance(action, spaces.Discrete)
    return Environment(
        name=name,
        time_limit=int(params.max_steps_in_episode),
        num_obs=int(obs.n) if isinstance(obs, spaces.Discrete) else None,
        num_actions=int(action.n) if is_discrete else None,
        action_shape=() if is_discrete else tuple(action.shape),
        env_params=env_params,
        _env=env,
        _params=params,
        _ends_at_limit=ends_at_limit,
    )


def _in_words(space: Any) -> str:
    from gymnax.environments import spaces

    if isinstance(space, spaces.Discrete):
        return f"Discrete: {space.n} values, 0 to {space.n - 1}"
    shape, dtype = tuple(space.shape), np.dtype(space.dtype)
    low, high = (_bound(bound) for bound in (space.low, space.high))
    return f"Box of shape {shape}, {dtype}, from {low} to {high}"


def _bound(values: Any) -> str:
    """Return a bound of a Box: one number, or one for each of a few elements."""
    values = np.asarray(values, np.float32).ravel()
    # The largest number stands for no bound.
    values = np.where(np.abs(values) < LARGEST_FLOAT, values, np.copysign(np.inf, values))
    texts = [f"{value:.4g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else f"[{', '.join(texts)}]"
