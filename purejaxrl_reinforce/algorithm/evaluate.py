"""A trained policy: its actions, and whole episodes of it."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm import blocks, rollout
from purejaxrl_reinforce.algorithm.lanes import ONE_DEVICE, evaluation_key
from purejaxrl_reinforce.algorithm.networks.build import Networks, Params
from purejaxrl_reinforce.algorithm.setup import Setup, jit, make_setup
from purejaxrl_reinforce.algorithm.state import TrainState, no_metric
from purejaxrl_reinforce.config import Config


class Evaluation(NamedTuple):
    """Undiscounted returns (float32) and lengths (steps, int32) of whole episodes, [n].

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, evaluate, init
        >>> config = Config(num_envs=4)
        >>> params = init(config, jax.random.key(0)).params
        >>> found = evaluate(config, params, jax.random.key(1), 20)
        >>> bool((found.episode_return == found.episode_length).all())  # CartPole pays 1 a step
        True
    """

    episode_return: Array | np.ndarray
    episode_length: Array | np.ndarray


@jit("num_episodes", "greedy")
def evaluate(
    config: Config, params: Params, key: Array, num_episodes: int = 100, greedy: bool = True
) -> Evaluation:
    """Play `num_episodes` whole episodes side by side, each up to the environment's time limit.

    Args:
        config: of the training; only the environment and the networks matter.
        params: of the trained networks.
        key: a typed key, (); training from the same key uses none of the same randomness.
        num_episodes: static.
        greedy: whether to take each state's most probable action, or to sample; static.

    Raises:
        ValueError: `num_episodes` is not positive, or the key is none that `train` takes.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, evaluate, train
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3)
        >>> state, _ = train(config, jax.random.key(0))
        >>> evaluate(config, state.params, jax.random.key(1), 20).episode_return.shape
        (20,)
    """
    if num_episodes < 1:
        raise ValueError(f"num_episodes must be at least 1, not {num_episodes}")
    _require_params(params)
    return _evaluate(make_setup(config), params, key, num_episodes, greedy)


def policy(config: Config, params: Params, *, greedy: bool = True) -> Callable[..., Array]:
    """Return the policy as a function of observations, `act(obs)` or, to sample, `act(obs, key)`.

    It takes [*shape] or [..., *shape], for observations of this shape, and a typed key; it returns
    actions that the environment takes, () or [D] for each. `jax.jit` and `jax.vmap` apply.

    Args:
        config: of the training; only the environment and the networks matter.
        params: of the trained networks.
        greedy: whether to take the most probable action, or to sample.

    Raises:
        ValueError: observations have another shape, or sampling lacks a key.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, init, policy
        >>> config = Config(num_envs=4)
        >>> state = init(config, jax.random.key(0))
        >>> jax.jit(policy(config, state.params))(state.lanes.obs).shape
        (4,)
    """
    _require_params(params)
    setup = make_setup(config)
    shape, networks = setup.env.obs_shape, setup.networks

    def act(obs: Array, key: Array | None = None) -> Array:
        obs = jnp.asarray(obs)
        lead = obs.shape[: obs.ndim - len(shape)]
        if obs.shape != lead + shape:
            raise ValueError(f"obs must have the shape {shape}, or more before, not {obs.shape}")
        if key is None and not greedy:
            raise ValueError("a policy that is not greedy needs a key: act(obs, key)")
        keys = jax.random.split(jax.random.key(0) if key is None else key, math.prod(lead))
        noise = jax.vmap(networks.policy.noise)(keys)
        action = make_act(networks, params, greedy)(obs.reshape(-1, *shape), noise)
        return setup.env.clip(networks.policy.to_env(action)).reshape(*lead, *action.shape[1:])

    return act


def _require_params(params: Any) -> None:
    if hasattr(type(params), "params"):
        kind = "state" if isinstance(params, TrainState) else "run"
        raise ValueError(f"these are no parameters, but a {kind}: pass {kind}.params")


def _evaluate(
    setup: Setup, params: Params, key: Array, num_episodes: int, greedy: bool
) -> Evaluation:
    keys = ONE_DEVICE.keys(evaluation_key(key), num_episodes)
    start = rollout.fresh_lanes(setup.env, rollout.keys_for(keys, rollout.KeyUse.START))
    lanes, _ = rollout.play(whole_episodes(setup, params, greedy), start, keys)
    return Evaluation(*lanes.episode)


def greedy_return(setup: Setup, state: TrainState) -> Array:
    """Return the mean return of greedy episodes after every `eval_every`-th update, else NaN.

    They are those of `evaluate` with the key `jax.random.fold_in(state.key, state.update)`, from
    which the next update makes other keys. Each device plays all of them.
    """
    config = setup.config
    if not config.eval_every:
        return no_metric()
    due = state.update % config.eval_every == 0
    key = jax.random.fold_in(state.key, state.update)

    def play_all() -> Array:
        episodes = _evaluate(setup, state.params, key, config.eval_episodes, greedy=True)
        return jnp.mean(episodes.episode_return)

    # Not mapped, the condition stays one: agents that are mapped over reach an update together.
    found = jax.lax.cond(blocks.any_lane(due), play_all, no_metric)
    return jnp.where(due, found, no_metric())


def whole_episodes(setup: Setup, params: Params, greedy: bool) -> rollout.Rollout:
    """Return how a trained policy plays episodes, each up to the environment's time limit."""
    act = make_act(setup.networks, params, greedy)
    return rollout.Rollout(setup, act, num_steps=setup.env.time_limit)


def make_act(networks: Networks, params: Params, greedy: bool) -> rollout.Act:
    """Return the policy: the most probable action of each state, or a sampled one."""

    def act(obs: Array, noise: Array) -> Array:
        distribution = networks.distribution(params, obs)
        return distribution.mode() if greedy else distribution.sample(noise)

    return act
