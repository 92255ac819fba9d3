"""Environments of one's own, right and wrong ones."""

import sys

import gymnax
import jax
import jax.numpy as jnp
from flax import struct
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


class NoSpaces(gymnax.environments.environment.Environment):
    @property
    def default_params(self):
        return EnvParams()

    def reset_env(self, key, params):
        return jnp.zeros(3), jax.random.uniform(key)


@struct.dataclass
class State(gymnax.environments.environment.EnvState):
    position: jax.Array


@struct.dataclass
class Params(gymnax.environments.environment.EnvParams):
    max_steps_in_episode: int = 20


class PointMass(gymnax.environments.environment.Environment):
    """Pushed towards 0; with arguments, one of which becomes an array."""

    def __init__(self, size: int = 2, speed: float = 0.5):
        self.size, self.speed = size, speed
        self.low = -jnp.ones(size)

    @property
    def default_params(self):
        return Params()

    def reset_env(self, key, params):
        position = jax.random.uniform(key, (self.size,), minval=self.low)
        return position, State(time=0, position=position)

    def step_env(self, key, state, action, params):
        position = state.position + self.speed * action
        state = State(time=state.time + 1, position=position)
        return position, state, -jnp.sum(position**2), jnp.abs(position).max() > 9, {}

    def action_space(self, params):
        return spaces.Box(-1.0, 1.0, (self.size,))

    def observation_space(self, params):
        return spaces.Box(-jnp.inf, jnp.inf, (self.size,))


class OldPointMass(PointMass):
    """Its `done` is that of gymnax 0.x, which also holds at the time limit."""

    def step_env(self, key, state, action, params):
        obs, state, reward, done, info = super().step_env(key, state, action, params)
        return obs, state, reward, done | (state.time >= params.max_steps_in_episode), info


class NoStep(PointMass):
    step_env = gymnax.environments.environment.Environment.step_env

    def step(self, key, state, action, params):
        return super().step_env(key, state, action, params)


class OneStep(PointMass):
    default_params = gymnax.environments.environment.Environment.default_params


class OldDiscount(PointMass):
    def step_env(self, key, state, action, params):
        obs, state, reward, done, _ = super().step_env(key, state, action, params)
        return obs, state, reward, done, {"discount": self.discount(state, params)}


class NoTime(PointMass):
    def reset_env(self, key, params):
        return super().reset_env(key, params)[0], jnp.zeros(3)


class NoReward(PointMass):
    def step_env(self, key, state, action, params):
        obs, state, *_, info = super().step_env(key, state, action, params)
        return obs, state, None, obs > 9, info


class DictPointMass(PointMass):
    def reset_env(self, key, params):
        position, state = super().reset_env(key, params)
        return {"position": position}, state


class Wrapped(PointMass):
    def __init__(self, env):
        super().__init__(env.size)
        self.env = env


def make_point_mass(size: int = 2):
    return PointMass(size)
