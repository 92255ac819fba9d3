"""PPO as PureJaxRL has it, in one compiled program: for scale beside REINFORCE.

Schulman et al. (2017): a scan over updates; each plays `num_steps` steps in every lane, computes
generalized advantage estimates, and takes `num_epochs` passes over the batch in minibatches of the
clipped objective. Two networks of 2 x 64 tanh units, orthogonal initialization, Adam whose rate
falls to zero, advantages standardized per minibatch. Hyperparameters are PureJaxRL's for CartPole.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import Array


class PPOSettings(NamedTuple):
    """Batch sizes and hyperparameters."""

    num_envs: int = 64
    num_steps: int = 128
    num_updates: int = 60
    num_epochs: int = 4
    num_minibatches: int = 4
    hidden_size: int = 64
    learning_rate: float = 2.5e-4
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip: float = 0.2
    entropy_coef: float = 0.01
    value_coef: float = 0.5
    max_grad_norm: float = 0.5


class Step(NamedTuple):
    """One time step of all lanes, [N, ...]; `episode_return` is NaN where no episode ended."""

    obs: Array
    action: Array
    log_prob: Array
    value: Array
    reward: Array
    done: Array
    episode_return: Array


class ActorCritic(nn.Module):
    """Logits and value of observations, from two networks of two tanh layers."""

    hidden_size: int
    num_actions: int

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array]:
        return self._mlp(x, self.num_actions, 0.01), self._mlp(x, 1, 1.0)[..., 0]

    def _mlp(self, x: Array, num_outputs: int, scale: float) -> Array:
        def dense(width: int, scale: float) -> nn.Dense:
            return nn.Dense(width, kernel_init=nn.initializers.orthogonal(scale))

        for _ in range(2):
            x = nn.tanh(dense(self.hidden_size, math.sqrt(2))(x))
        return dense(num_outputs, scale)(x)


class PPO(NamedTuple):
    """What the functions below share."""

    settings: PPOSettings
    env: Any
    env_params: Any
    network: ActorCritic
    optimizer: optax.GradientTransformation


def make_ppo(settings: PPOSettings) -> Callable[[Array], tuple[Any, Array]]:
    """Return `train(key)` on CartPole-v1, to be compiled.

    It returns the final parameters and the mean return of each update's finished episodes, NaN
    where none finished.
    """
    import gymnax  # starts jax, whose devices a benchmark has to choose before

    s = settings
    steps = s.num_updates * s.num_epochs * s.num_minibatches
    optimizer = optax.chain(
        optax.clip_by_global_norm(s.max_grad_norm),
        optax.adam(optax.linear_schedule(s.learning_rate, 0.0, steps), eps=1e-5),
    )
    env, env_params = gymnax.make("CartPole-v1")
    network = ActorCritic(s.hidden_size, env.num_actions)
    ppo = PPO(settings, env, env_params, network, optimizer)

    def train(key: Array) -> tuple[Any, Array]:
        key, key_network, key_reset = jax.random.split(key, 3)
        keys = jax.random.split(key_reset, s.num_envs)
        obs, env_state = jax.vmap(env.reset, in_axes=(0, None))(keys, env_params)
        params = network.init(key_network, obs)
        start = params, optimizer.init(params), env_state, obs, jnp.zeros(s.num_envs), key
        carry, returns = jax.lax.scan(lambda c, _: update(ppo, c), start, length=s.num_updates)
        return carry[0], returns

    return train


def update(ppo: PPO, carry: tuple[Any, ...]) -> tuple[tuple[Any, ...], Array]:
    """Play a batch and learn from it."""
    params, opt_state, env_state, obs, running, key = carry
    key, key_play, key_learn = jax.random.split(key, 3)
    keys = jax.random.split(key_play, ppo.settings.num_steps)
    lanes, batch = jax.lax.scan(
        lambda c, k: play(ppo, params, c, k), (env_state, obs, running), keys
    )
    advantages = estimate_advantages(ppo, batch, ppo.network.apply(params, lanes[1])[1])
    learner, _ = jax.lax.scan(
        lambda c, k: epoch(ppo, batch, advantages, c, k),
        (params, opt_state),
        jax.random.split(key_learn, ppo.settings.num_epochs),
    )
    return (*learner, *lanes, key), jnp.nanmean(batch.episode_return)


def play(ppo: PPO, params: Any, lanes: tuple[Any, ...], key: Array) -> tuple[Any, Step]:
    """Take one step in every lane, with automatic reset."""
    env_state, obs, running = lanes
    key_action, key_step = jax.random.split(key)
    logits, value = ppo.network.apply(params, obs)
    action = jax.random.categorical(key_action, logits)
    next_obs, env_state, reward, terminated, truncated, _ = jax.vmap(
        ppo.env.step, in_axes=(0, 0, 0, None)
    )(jax.random.split(key_step, action.shape[0]), env_state, action, ppo.env_params)
    done, running = terminated | truncated, running + reward
    ended = jnp.where(done, running, jnp.nan)
    row = Step(obs, action, log_prob_of(logits, action), value, reward, done, ended)
    return (env_state, next_obs, jnp.where(done, 0.0, running)), row


def log_prob_of(logits: Array, action: Array) -> Array:
    """Return the log-probability of actions [...] under logits [..., A]."""
    return jnp.take_along_axis(jax.nn.log_softmax(logits), action[..., None], axis=-1)[..., 0]


def estimate_advantages(ppo: PPO, batch: Step, last_value: Array) -> Array:
    """Return generalized advantage estimates, [T, N] (Schulman et al., 2016, equation 16)."""
    gamma, decay = ppo.settings.gamma, ppo.settings.gamma * ppo.settings.gae_lambda

    def previous(carry: tuple[Array, Array], step: Step) -> tuple[tuple[Array, Array], Array]:
        advantage, next_value = carry
        goes_on = 1.0 - step.done
        delta = step.reward + gamma * goes_on * next_value - step.value
        advantage = delta + decay * goes_on * advantage
        return (advantage, step.value), advantage

    start = jnp.zeros_like(last_value), last_value
    return jax.lax.scan(previous, start, batch, reverse=True, unroll=16)[1]


def epoch(
    ppo: PPO, batch: Step, advantages: Array, learner: tuple[Any, Any], key: Array
) -> tuple[tuple[Any, Any], None]:
    """Take a gradient step on each minibatch of a shuffled batch."""
    rows = jax.tree.map(
        lambda x: x.reshape(-1, *x.shape[2:]), (batch, advantages, advantages + batch.value)
    )
    order = jax.random.permutation(key, advantages.size)
    minibatches = jax.tree.map(
        lambda x: x[order].reshape(ppo.settings.num_minibatches, -1, *x.shape[1:]), rows
    )

    def step(learner: tuple[Any, Any], minibatch: Any) -> tuple[tuple[Any, Any], None]:
        params, opt_state = learner
        grads = jax.grad(loss, argnums=1)(ppo, params, *minibatch)
        deltas, opt_state = ppo.optimizer.update(grads, opt_state)
        return (optax.apply_updates(params, deltas), opt_state), None

    return jax.lax.scan(step, learner, minibatches)


def loss(ppo: PPO, params: Any, batch: Step, advantages: Array, targets: Array) -> Array:
    """Return the clipped objective with the clipped value loss and an entropy bonus."""
    s = ppo.settings
    logits, value = ppo.network.apply(params, batch.obs)
    ratio = jnp.exp(log_prob_of(logits, batch.action) - batch.log_prob)
    advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
    gains = jnp.minimum(ratio * advantages, jnp.clip(ratio, 1 - s.clip, 1 + s.clip) * advantages)
    clipped = batch.value + jnp.clip(value - batch.value, -s.clip, s.clip)
    errors = jnp.maximum((value - targets) ** 2, (clipped - targets) ** 2)
    entropy = -jnp.sum(jax.nn.softmax(logits) * jax.nn.log_softmax(logits), axis=-1)
    return -gains.mean() + s.value_coef * 0.5 * errors.mean() - s.entropy_coef * entropy.mean()
