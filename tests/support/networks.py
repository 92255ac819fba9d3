"""Networks of one's own, right and wrong ones."""

import flax.linen as nn
import jax.numpy as jnp


class Tanh(nn.Module):
    """One hidden layer, in bfloat16."""

    num_outputs: int

    @nn.compact
    def __call__(self, obs):
        x = obs.reshape(obs.shape[0], -1).astype(jnp.bfloat16)
        return nn.Dense(self.num_outputs)(nn.tanh(nn.Dense(8)(x)))


class HalfPrecision(nn.Module):
    """Parameters in bfloat16, whose names have slashes."""

    num_outputs: int

    @nn.compact
    def __call__(self, obs):
        dense = nn.Dense(self.num_outputs, param_dtype=jnp.bfloat16, name="a/b")
        return dense(obs.reshape(obs.shape[0], -1))


class Failing(Tanh):
    @nn.compact
    def __call__(self, obs):
        raise KeyError("pixels")


class OneTooMany(Tanh):
    @nn.compact
    def __call__(self, obs):
        return nn.Dense(self.num_outputs + 1)(obs)


class Integers(Tanh):
    @nn.compact
    def __call__(self, obs):
        return nn.Dense(self.num_outputs)(obs).astype(int)


class Statistics(Tanh):
    @nn.compact
    def __call__(self, obs):
        return nn.BatchNorm(use_running_average=False)(nn.Dense(self.num_outputs)(obs))


class Dropout(Tanh):
    @nn.compact
    def __call__(self, obs):
        return nn.Dropout(0.5, deterministic=False)(nn.Dense(self.num_outputs)(obs))


class NoOutputs(nn.Module):
    pass


class Wide(nn.Module):
    num_outputs: int
    width: int = 8

    @nn.compact
    def __call__(self, obs):
        return nn.Dense(self.num_outputs)(nn.tanh(nn.Dense(self.width)(obs)))


class Both(Wide):
    """A torso that policy and baseline share."""

    @nn.compact
    def __call__(self, obs):
        x = nn.tanh(nn.Dense(self.width)(obs))
        return nn.Dense(self.num_outputs)(x), nn.Dense(1)(x)
