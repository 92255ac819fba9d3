"""Gymnasium's own environments, played by a policy trained in gymnax."""

import contextlib
import functools
import os
from typing import Any

import gymnasium
import jax
import numpy as np
from gymnasium import spaces
from jax import Array

from purejaxrl_reinforce.algorithm import evaluate, lanes
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.environments.env_params import derived
from purejaxrl_reinforce.environments.environment import ALIASES, Environment
from purejaxrl_reinforce.tasks import TIME_LIMIT

RenderedEnv = gymnasium.Env[Any, Any]


class NoRendererError(ValueError):
    """A package that an environment's renderer needs is not installed."""


def evaluate_in_gymnasium(
    config: Config, params: Params, key: Array, num_episodes: int, greedy: bool = True
) -> evaluate.Evaluation:
    """Play `num_episodes` whole episodes in as many of Gymnasium's environments, side by side.

    Each environment counts with its first episode only, to the end or to the time limit that
    training had. Were the first `num_episodes` to finish anywhere counted, short ones would be
    too many among them. The policy is called once per step, for all environments. Arguments are
    those of `evaluate`.

    Returns:
        NumPy arrays: returns [n] in float64, lengths [n].

    Raises:
        ValueError: Gymnasium has no environment of that name and those spaces.
    """
    env = environment.make(config.env, config.env_params)
    envs: Any = make_vector(env, num_episodes)
    start, *keys = jax.random.split(lanes.evaluation_key(key), env.time_limit + 1)
    obs, _ = envs.reset(seed=int(jax.random.bits(start) >> 1))
    returns, lengths = np.zeros(num_episodes), np.zeros(num_episodes, np.int32)
    alive = np.ones(num_episodes, bool)
    for own_key in keys:
        actions = np.asarray(act(config, params, obs, own_key, greedy))
        obs, reward, terminated, truncated, _ = envs.step(actions)
        returns += np.where(alive, reward, 0)
        lengths += alive
        alive &= ~(terminated | truncated)
        if not alive.any():
            break
    envs.close()
    return evaluate.Evaluation(returns, lengths)


def make_vector(env: Environment, num_envs: int) -> gymnasium.vector.VectorEnv:
    """Return `num_envs` copies of Gymnasium's counterpart of `env`, with the time limit of `env`.

    They come from Gymnasium's vectorized entry point where the environment has one; else they are
    stepped one after the other.

    Raises:
        ValueError: Gymnasium has no such environment, or one with other spaces or without a
            parameter of `env`.
    """
    envs = gymnasium.make_vec(_counterpart(env), num_envs, max_episode_steps=env.time_limit)
    _require_same_spaces(env, envs.single_observation_space, envs.single_action_space)
    for copy in getattr(envs, "envs", [envs]):
        _set_params(env, copy.unwrapped)
    return envs


def make_rendered(env: Environment) -> RenderedEnv | None:
    """Return Gymnasium's counterpart of `env`, which renders RGB arrays.

    None if it has no renderer, or not the spaces and parameters of `env`.

    Raises:
        NoRendererError: a package that its renderer needs is not installed.
    """
    try:
        name = _counterpart(env)
        plain = gymnasium.make(name)
        if "rgb_array" not in plain.metadata.get("render_modes", []):
            return None
        rendered = gymnasium.make(name, max_episode_steps=env.time_limit, render_mode="rgb_array")
        _require_same_spaces(env, rendered.observation_space, rendered.action_space)
        _set_params(env, rendered.unwrapped)
        rendered.reset(seed=0)
        # pygame then starts without a display and a sound card.
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
        os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
        rendered.render()  # starts the renderer
    except gymnasium.error.DependencyNotInstalled:
        raise NoRendererError(
            f"the renderer of {name} lacks a package: pip install '.[video]' in a clone of the"
            " repository"
        ) from None
    except ValueError:
        return None
    return rendered


@functools.partial(jax.jit, static_argnames="greedy")
def act(config: Config, params: Params, obs: Array, key: Array, greedy: bool) -> Array:
    """Return the policy's actions [N, ...] for observations [N, ...]."""
    return evaluate.policy(config, params, greedy=greedy)(obs, key)


def _counterpart(env: Environment) -> str:
    """Return the name of Gymnasium's environment; a ValueError says that it has none."""
    name = ALIASES.get(env.name, (env.name, {}))[0]
    with contextlib.suppress(gymnasium.error.Error):
        if ":" not in name:  # Gymnasium imports the module before a colon
            return gymnasium.spec(name).id
    raise ValueError(f"Gymnasium has no environment {env.name!r}")


def _set_params(env: Environment, theirs: Any) -> None:
    """Give Gymnasium's environment the parameters of `env`; unknown ones are rejected."""
    for name in env.env_params.keys() - {TIME_LIMIT}:
        attribute = name if hasattr(theirs, name) else name.upper()
        if not hasattr(theirs, attribute):
            raise ValueError(f"Gymnasium's {env.name} has no parameter {name!r}")
        setattr(theirs, attribute, env.env_params[name])
    for name, value in derived(env.name).items():
        setattr(theirs, name, value(theirs))


def _require_same_spaces(env: Environment, obs_space: Any, action_space: Any) -> None:
    if env.num_obs is None:
        same = obs_space.shape == env.obs_shape
    else:
        same = obs_space == spaces.Discrete(env.num_obs)
    if env.num_actions is not None:
        same &= action_space == spaces.Discrete(env.num_actions)
    else:
        same &= isinstance(action_space, spaces.Box) and action_space.shape == env.action_shape
        same = same and np.allclose((action_space.low, action_space.high), env.action_bounds())
    if not same:
        raise ValueError(
            f"Gymnasium's {env.name} has other spaces than gymnax's: observations {obs_space},"
            f" actions {action_space}"
        )
