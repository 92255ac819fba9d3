"""Whole episodes of a trained policy."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE, any_lane, tuning
from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.jit import jit
from purejaxrl_reinforce.algorithm.keys import evaluation_key
from purejaxrl_reinforce.algorithm.networks.build import Networks, Params, make_networks
from purejaxrl_reinforce.algorithm.rollout import Act, Rollout, Use, fresh_lanes, keys_for, play
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config


class Evaluation(NamedTuple):
    """Undiscounted returns (float32) and lengths (steps, int32) of whole episodes, [n]."""

    episode_return: Array | np.ndarray
    episode_length: Array | np.ndarray


@jit("num_episodes", "greedy")
def evaluate(
    config: Config, params: Params, key: Array, num_episodes: int, greedy: bool = True
) -> Evaluation:
    """Play `num_episodes` whole episodes, each up to the environment's time limit.

    Args:
        config: of the training; only the environment and the networks matter.
        params: of the trained networks.
        key: a typed key, (); training from the same key uses none of the same randomness.
        num_episodes: how many episodes, all side by side; static.
        greedy: whether to take each state's most probable action, or to sample; static.

    Raises:
        ValueError: `num_episodes` is not positive, or the key is none that `train` takes.
    """
    if num_episodes < 1:
        raise ValueError(f"num_episodes must be at least 1, not {num_episodes}")
    rollout = whole_episodes(config, params, greedy)
    keys = ONE_DEVICE.keys(evaluation_key(key), num_episodes)
    lanes, _ = play(rollout, fresh_lanes(rollout.env, keys_for(keys, Use.START)), keys)
    return Evaluation(lanes.episode_return, lanes.episode_length)


def greedy_return(config: Config, state: TrainState) -> Array:
    """Return the mean return of `eval_episodes` greedy episodes after every `eval_every`-th update.

    They are those of `evaluate` with the key `jax.random.fold_in(state.key, state.update)`, from
    which the next update makes other keys. After the other updates the result is NaN. Each device
    plays all episodes.
    """
    if not config.eval_every:
        return jnp.float32(jnp.nan)
    due = state.update % config.eval_every == 0
    key = jax.random.fold_in(state.key, state.update)

    def play_all() -> Array:
        episodes = evaluate(config, state.params, key, config.eval_episodes)
        return jnp.mean(episodes.episode_return)

    # Not mapped, the condition stays one: agents that are mapped over reach an update together.
    found = jax.lax.cond(any_lane(due), play_all, lambda: jnp.float32(jnp.nan))
    return jnp.where(due, found, jnp.nan)


def whole_episodes(config: Config, params: Params, greedy: bool) -> Rollout:
    """Return how a trained policy plays episodes, each up to the environment's time limit."""
    env = environment.make(config.env, config.env_params)
    networks = make_networks(config)
    return Rollout(
        env=env,
        act=make_act(networks, params.policy, greedy),
        noise=networks.policy.noise,
        num_steps=env.time_limit,
        tuning=tuning(config),
        to_env=networks.policy.to_env,
    )


def make_act(networks: Networks, policy_params: Any, greedy: bool) -> Act:
    """Return the policy: the most probable action of each state, or a sampled one."""

    def act(obs: Array, noise: Array) -> Array:
        distribution = networks.distribution(policy_params, obs)
        return distribution.mode() if greedy else distribution.sample(noise)

    return act
