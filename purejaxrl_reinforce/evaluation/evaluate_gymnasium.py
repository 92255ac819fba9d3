"""Whole episodes of Gymnasium's own environment with a policy trained in gymnax."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.evaluate import Evaluation
from purejaxrl_reinforce.algorithm.keys import evaluation_key
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.evaluation.gymnasium import gym_actions, make_vector


def evaluate_in_gymnasium(
    config: Config, params: Params, key: Array, num_episodes: int, greedy: bool = True
) -> Evaluation:
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
    envs = make_vector(env, num_episodes)
    start, *keys = jax.random.split(evaluation_key(key), env.time_limit + 1)
    try:
        return _play(config, params, envs, int(jax.random.bits(start) >> 1), keys, greedy)
    finally:
        envs.close()


def _play(
    config: Config, params: Params, envs: Any, seed: int, keys: Sequence[Array], greedy: bool
) -> Evaluation:
    """Play the first episode of each environment, with a key for each step of the longest."""
    obs, _ = envs.reset(seed=seed)
    returns, lengths = np.zeros(envs.num_envs), np.zeros(envs.num_envs, np.int32)
    alive = np.ones(envs.num_envs, bool)
    for key in keys:
        actions = gym_actions(config, params, obs, key, envs.single_action_space, greedy)
        obs, reward, terminated, truncated, _ = envs.step(actions)
        returns += np.where(alive, reward, 0)
        lengths += alive
        alive &= ~(terminated | truncated)
        if not alive.any():
            return Evaluation(returns, lengths)
    raise AssertionError("the time limit ends every episode")
