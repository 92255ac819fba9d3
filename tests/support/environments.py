"""Environments of one's own, right and wrong ones."""

import sys

import gymnax
import jax
import jax.numpy as jnp
from gymnax.environments import spaces
from gymnax.environments.classic_control.cartpole import CartPole, EnvParams


class Mine(CartPole):
    """CartPole by another name."""


instance = Mine()
number = 3
Exits = type("Exits", (CartPole,), {"__init__": sys.exit})


class NeedsArguments(CartPole):
    def __init__(self, size):
        self.size = size


class Failing(CartPole):
    def step_env(self, key, state, action, params):
        return {}["pixels"]


class NoTimeLimit(CartPole):
    @property
    def default_params(self):
        return EnvParams(max_steps_in_episode=0)


class FourValues(CartPole):
    def step_env(self, key, state, action, params):
        return super().step_env(key, state, action, params)[:4]


class AnotherState(CartPole):
    def step_env(self, key, state, action, params):
        obs, state, *others = super().step_env(key, state, action, params)
        return obs, state.replace(x=jnp.int32(state.x)), *others


class OutsideItsSpace(CartPole):
    def observation_space(self, params):
        return spaces.Box(-1.0, 1.0, (5,))


class ManyRewards(CartPole):
    def step_env(self, key, state, action, params):
        obs, state, _, terminated, info = super().step_env(key, state, action, params)
        return obs, state, obs, terminated, info


class OneAction(CartPole):
    def action_space(self, params=None):
        return spaces.Discrete(1)


class ManyActions(CartPole):
    def action_space(self, params=None):
        return spaces.Box(-1.0, 1.0, (2, 2))

    def step_env(self, key, state, action, params):
        return super().step_env(key, state, action[0, 0] > 0, params)


class NoSpaces(gymnax.environments.environment.Environment):
    @property
    def default_params(self):
        return EnvParams()

    def reset_env(self, key, params):
        return jnp.zeros(3), jax.random.uniform(key)
