"""Playing whole episodes with a trained policy."""

import functools
from typing import NamedTuple

import jax
from jax import Array

from purejaxrl_reinforce import environment
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.engine import engine
from purejaxrl_reinforce.lane_axis import ONE_DEVICE
from purejaxrl_reinforce.losses import Params
from purejaxrl_reinforce.networks import make_networks
from purejaxrl_reinforce.rollout import Rollout, Use, fresh_lanes, keys_for, play


class Evaluation(NamedTuple):
    """Undiscounted returns (float32) and lengths (steps, int32) of whole episodes, [n]."""

    episode_return: Array
    episode_length: Array


@functools.partial(jax.jit, static_argnames=("num_episodes", "greedy"))
def evaluate(
    config: Config, params: Params, key: Array, num_episodes: int, greedy: bool = True
) -> Evaluation:
    """Play `num_episodes` whole episodes, each up to the environment's time limit.

    Args:
        config: what was trained; only the environment and the networks matter.
        params: of the trained networks.
        key: a typed key, ().
        num_episodes: how many episodes, all side by side; static.
        greedy: whether to take each state's most probable action, or to sample; static.

    Raises:
        ValueError: `num_episodes` is not positive.
    """
    if num_episodes < 1:
        raise ValueError(f"num_episodes must be at least 1, not {num_episodes}")
    env = environment.make(config.env)
    networks = make_networks(config, env)

    def act(obs: Array, noise: Array) -> Array:
        distribution = networks.distribution(params.policy, obs)
        return distribution.mode() if greedy else distribution.sample(noise)

    rollout = Rollout(
        env=env,
        act=act,
        noise=networks.policy.noise,
        num_steps=env.time_limit,
        engine=engine(config),
    )
    keys = ONE_DEVICE.keys(key, num_episodes)
    lanes, _ = play(rollout, fresh_lanes(env, keys_for(keys, Use.START)), keys)
    return Evaluation(lanes.episode_return, lanes.episode_length)
