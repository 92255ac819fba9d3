"""The idiomatic JAX program: what one writes after reading PureJaxRL, with REINFORCE's losses.

A scan over `vmap(env.step)` with automatic reset, keys split for every lane and step, actions from
`jax.random.categorical`, the return as a reverse scan, and one gradient of the whole batch for each
network. Of a configuration it knows the batch, `num_steps` included, the layers, gamma and the
rates. Written fairly: everything is compiled into one program, nothing is computed that the
algorithm does not need, and the environments carry on from update to update.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array

from purejaxrl_reinforce.config import Config


def cartpole() -> tuple[Any, Any]:
    """Return the environment and its parameters."""
    import gymnax  # starts jax, whose devices a benchmark has to choose before

    return gymnax.make("CartPole-v1")


class Transition(NamedTuple):
    """One time step of all lanes, [N, ...]; `episode_return` is NaN where no episode ended."""

    obs: Array
    action: Array
    reward: Array
    done: Array
    episode_return: Array


class MLP(nn.Module):
    """Hidden layers with an activation of flax.linen."""

    hidden_sizes: tuple[int, ...]
    activation: str
    num_outputs: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.hidden_sizes:
            x = getattr(nn, self.activation)(nn.Dense(size)(x))
        return nn.Dense(self.num_outputs)(x)


class Outcome(NamedTuple):
    """What training returns: the final parameters and, per update, the episodes that finished.

    The parameters are more than a courtesy: XLA drops what no output needs, and without them that
    is the last update's gradient.
    """

    params: tuple[Any, Any]
    mean_return: Array
    num_episodes: Array


def make_networks(config: Config) -> tuple[Any, Any]:
    """Return the policy and the baseline, each an MLP."""
    hidden = config.hidden_sizes, config.activation
    return MLP(*hidden, 2), MLP(*hidden, 1)


def make_train(config: Config) -> Callable[[Array], Outcome]:
    """Return `train(key)`, to be compiled. A mean return is NaN where no episode ended."""
    init, update = make_init(config), make_update(config)

    def train(key: Array) -> Outcome:
        carry, episodes = jax.lax.scan(update, init(key), length=config.num_updates)
        return Outcome(carry[0], *episodes)

    return train


def make_optimizers(config: Config) -> list[optax.GradientTransformation]:
    """Return an Adam for each network, whose rate falls to zero over the run."""
    return [
        optax.adam(optax.linear_schedule(rate, 0.0, config.num_updates))
        for rate in (config.policy_lr, config.baseline_lr)
    ]


def make_init(config: Config) -> Callable[[Array], tuple[Any, ...]]:
    """Return the function from a key to what training carries from update to update."""
    env, env_params = cartpole()
    networks, optimizers = make_networks(config), make_optimizers(config)

    def init(key: Array) -> tuple[Any, ...]:
        key, key_reset, *keys = jax.random.split(key, 4)
        obs, env_state = jax.vmap(env.reset, in_axes=(0, None))(
            jax.random.split(key_reset, config.num_envs), env_params
        )
        params = tuple(net.init(k, obs) for net, k in zip(networks, keys, strict=True))
        opt_states = tuple(opt.init(p) for opt, p in zip(optimizers, params, strict=True))
        return params, opt_states, env_state, obs, jnp.zeros(config.num_envs), key

    return init


def make_env_step(config: Config) -> Callable[..., tuple[tuple[Any, ...], Transition]]:
    """Return the body of the rollout's scan: one step of every lane."""
    env, env_params = cartpole()
    policy, _ = make_networks(config)

    def env_step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], Transition]:
        params, env_state, obs, running_return, key = carry
        key, key_action, key_step = jax.random.split(key, 3)
        action = jax.random.categorical(key_action, policy.apply(params, obs))
        next_obs, env_state, reward, terminated, truncated, _ = jax.vmap(
            env.step, in_axes=(0, 0, 0, None)
        )(jax.random.split(key_step, config.num_envs), env_state, action, env_params)
        done = terminated | truncated
        running_return = running_return + reward
        row = Transition(obs, action, reward, done, jnp.where(done, running_return, jnp.nan))
        running_return = jnp.where(done, 0.0, running_return)
        return (params, env_state, next_obs, running_return, key), row

    return env_step


def make_losses(config: Config) -> Callable[..., Array]:
    """Return the sum of both networks' losses over the whole batch."""
    policy, baseline = make_networks(config)

    def losses(params: tuple[Any, Any], batch: Transition, returns: Array) -> Array:
        values = baseline.apply(params[1], batch.obs)[..., 0]
        log_probs = jax.nn.log_softmax(policy.apply(params[0], batch.obs))
        log_prob = jnp.take_along_axis(log_probs, batch.action[..., None], axis=-1)[..., 0]
        advantages = jax.lax.stop_gradient(returns - values)
        return -jnp.mean(log_prob * advantages) + jnp.mean((values - returns) ** 2)

    return losses


def make_update(config: Config) -> Callable[..., tuple[tuple[Any, ...], tuple[Array, Array]]]:
    """Return the body of the training's scan: play, compute returns, learn."""
    env_step, losses = make_env_step(config), make_losses(config)
    optimizers, (_, baseline) = make_optimizers(config), make_networks(config)

    def update(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], tuple[Array, Array]]:
        params, opt_states, env_state, obs, running_return, key = carry
        rollout = (params[0], env_state, obs, running_return, key)
        rollout, batch = jax.lax.scan(env_step, rollout, length=config.num_steps)
        _, env_state, obs, running_return, key = rollout
        returns = jax.lax.scan(
            lambda g, t: (t.reward + config.gamma * jnp.where(t.done, 0.0, g),) * 2,
            baseline.apply(params[1], obs)[..., 0],
            batch,
            reverse=True,
            unroll=16,  # as PureJaxRL does
        )[1]
        grads = jax.grad(losses)(params, batch, returns)
        steps = [
            optimizer.update(grad, opt_state)
            for optimizer, grad, opt_state in zip(optimizers, grads, opt_states, strict=True)
        ]
        deltas, opt_states = zip(*steps, strict=True)
        params = optax.apply_updates(params, deltas)
        episodes = jnp.nanmean(batch.episode_return), jnp.sum(batch.done)
        return (params, opt_states, env_state, obs, running_return, key), episodes

    return update
