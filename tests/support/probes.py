"""Probe environments: so small that the right values and policies are known.

Importing this module registers them with gymnax.
"""

from typing import ClassVar

import gymnax
import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces


@struct.dataclass
class ProbeState(environment.EnvState):
    signal: jax.Array


@struct.dataclass
class ProbeParams(environment.EnvParams):
    max_steps_in_episode: int = 10


class Probe(environment.Environment):
    """An episode of `length` steps with reward 1; observations are [signal, time]."""

    length: ClassVar[int] = 1
    limit: ClassVar[int] = 10

    def __init_subclass__(cls):
        gymnax.register(f"{cls.__name__}-probe", cls)

    @property
    def default_params(self):
        return ProbeParams(max_steps_in_episode=self.limit)

    def reward(self, state, action):
        return jnp.float32(1)

    def step_env(self, key, state, action, params):
        del key
        reward = self.reward(state, action)
        state = state.replace(time=state.time + 1)
        return self.get_obs(state), state, reward, self.is_terminated(state, params), {}

    def reset_env(self, key, params):
        del params
        signal = jnp.where(jax.random.bernoulli(key), 1.0, -1.0)
        state = ProbeState(time=jnp.int32(0), signal=signal)
        return self.get_obs(state), state

    def get_obs(self, state, params=None, key=None):
        return jnp.stack([state.signal, jnp.float32(state.time)])

    def is_terminated(self, state, params):
        return state.time >= self.length

    def action_space(self, params=None):
        return spaces.Discrete(2)

    def observation_space(self, params):
        return spaces.Box(-1.0, 10.0, (2,))


class ActionReward(Probe):
    """Reward 1 for action 1, -1 for action 0."""

    def reward(self, state, action):
        return 2.0 * action - 1.0


class MatchReward(Probe):
    """Reward 1 where the action has the sign of the signal, -1 elsewhere."""

    def reward(self, state, action):
        return state.signal * (2.0 * action - 1.0)


class Target(Probe):
    """Continuous action; reward is minus its squared distance from half the signal."""

    def reward(self, state, action):
        return -((action[0] - 0.5 * state.signal) ** 2)

    def action_space(self, params=None):
        return spaces.Box(-2.0, 2.0, (1,))


class Unbounded(Target):
    def action_space(self, params=None):
        return spaces.Box(-jnp.inf, jnp.inf, (1,))


class Edge(Target):
    """Continuous action in an uneven box; reward is minus its squared distance from 2 or 3."""

    def reward(self, state, action):
        return -((action[0] - 2.5 - 0.5 * state.signal) ** 2)

    def action_space(self, params=None):
        return spaces.Box(-1.0, 4.0, (1,))


class TimeLimit(Probe):
    """Never terminates, reward 1: every episode is truncated after 10 steps."""

    length = 1_000


class Cut(Probe):
    """Reward 1; the time limit cuts after one step, and what follows looks like what was before."""

    length = 1_000
    limit = 1

    def get_obs(self, state, params=None, key=None):
        return jnp.stack([state.signal, 0.0])


class LongCut(Cut):
    """Like Cut, but the time limit comes after four steps, which all look the same."""

    limit = 4


class CutAndEnd(Cut):
    """Like Cut, but the same step also terminates."""

    length = 1


class Random(Probe):
    """Ends after a random number of steps with random rewards; uses the key of its steps."""

    def step_env(self, key, state, action, params):
        key_reward, key_end = jax.random.split(key)
        reward = jax.random.normal(key_reward)
        done = jax.random.bernoulli(key_end, 0.3)
        state = state.replace(time=state.time + 1, signal=state.signal + reward)
        return self.get_obs(state), state, reward, done, {}


class NanReward(Probe):
    """Reward is not a number for a signal of 1."""

    def reward(self, state, action):
        return jnp.where(state.signal > 0, jnp.nan, 1.0)


class DictObservation(Probe):
    def observation_space(self, params):
        return spaces.Dict({"signal": spaces.Box(-1.0, 1.0, ())})


class Broken(Probe):
    def __init__(self):
        raise OSError("its data is missing")
