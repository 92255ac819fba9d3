"""Gymnasium's own environments for a policy trained in gymnax; the only file that knows Gymnasium.

It is an extra: call `require_extra` first.
"""

import os
from typing import Any

import gymnasium
import jax
import numpy as np

from purejaxrl_reinforce.algorithm.environment import ALIASES, Environment

# pygame looks for a display and a sound card as soon as it starts; pictures need neither.
os.environ["SDL_VIDEODRIVER"] = os.environ["SDL_AUDIODRIVER"] = "dummy"

DrawnEnv = gymnasium.Env[Any, Any]


def has_counterpart(env: Environment) -> bool:
    """Return whether Gymnasium has an environment of the same name."""
    try:
        gymnasium.spec(_registered(env))
    except gymnasium.error.Error:
        return False
    return True


def make_vector(env: Environment, num_envs: int) -> gymnasium.vector.VectorEnv:
    """Return `num_envs` copies of Gymnasium's counterpart of `env`, with the time limit of `env`.

    They come from Gymnasium's vectorized entry point where the environment has one; else they are
    stepped one after the other.

    Raises:
        ValueError: Gymnasium has no such environment, or one with other spaces.
    """
    name = _registered(env)
    if not has_counterpart(env):
        raise ValueError(f"Gymnasium has no environment {env.name!r}")
    vectorized = gymnasium.spec(name).vector_entry_point is not None
    envs = gymnasium.make_vec(
        name,
        num_envs,
        vectorization_mode="vector_entry_point" if vectorized else "sync",
        max_episode_steps=env.time_limit,
    )
    _require_same_spaces(env, envs.single_observation_space, envs.single_action_space)
    return envs


def make_drawn(env: Environment) -> DrawnEnv | None:
    """Return Gymnasium's counterpart of `env`, which renders RGB arrays; None without a renderer.

    Raises:
        ValueError: it has other spaces, or what its renderer needs is not installed.
    """
    name = _registered(env)
    if not has_counterpart(env):
        return None
    try:
        plain = gymnasium.make(name)
        if "rgb_array" not in plain.metadata.get("render_modes", []):
            return None
        drawn = gymnasium.make(name, max_episode_steps=env.time_limit, render_mode="rgb_array")
        drawn.reset(seed=0)
        drawn.render()
    except gymnasium.error.DependencyNotInstalled:
        raise ValueError(
            f"the renderer of {name} lacks a package: pip install 'purejaxrl_reinforce[video]'"
        ) from None
    _require_same_spaces(env, drawn.observation_space, drawn.action_space)
    return drawn


def gym_action(
    env: Environment, space: gymnasium.Space[Any], action: jax.Array | np.ndarray
) -> np.ndarray:
    """Return actions [...] of the policy as Gymnasium takes them: clipped where continuous."""
    if env.num_actions is not None:
        return np.asarray(action, np.int64)
    assert isinstance(space, gymnasium.spaces.Box)
    return np.clip(np.asarray(action, np.float32), space.low, space.high)


def _registered(env: Environment) -> str:
    return ALIASES.get(env.name, (env.name, {}))[0]


def _require_same_spaces(
    env: Environment, obs_space: gymnasium.Space[Any], action_space: gymnasium.Space[Any]
) -> None:
    obs = jax.eval_shape(lambda: env.reset(jax.random.split(jax.random.key(0), 1))[0])
    if env.num_obs is None:
        same = obs_space.shape == obs.shape[1:]
    else:
        same = obs_space == gymnasium.spaces.Discrete(env.num_obs)
    if env.num_actions is None:
        same &= action_space.shape == env.action_shape
    else:
        same &= action_space == gymnasium.spaces.Discrete(env.num_actions)
    if not same:
        raise ValueError(
            f"Gymnasium's {env.name} has other spaces than gymnax's: observations {obs_space},"
            f" actions {action_space}"
        )
