"""Episodes of a trained policy in a gymnax environment, where a step gives five values."""

from collections.abc import Callable
from typing import Any

import jax


def mean_return(
    env: Any,
    env_params: Any,
    act: Callable[[jax.Array, jax.Array], jax.Array],
    episodes: int,
    key: jax.Array,
) -> float:
    """Return the mean return of so many episodes; `act` takes an observation and a key."""

    def play(key: jax.Array) -> jax.Array:
        key, key_reset = jax.random.split(key)
        obs, state = env.reset(key_reset, env_params)

        def step(carry: Any, key: jax.Array) -> tuple[Any, None]:
            obs, state, alive, total = carry
            key_action, key_step = jax.random.split(key)
            action = act(obs, key_action)
            obs, state, reward, done, _ = env.step(key_step, state, action, env_params)
            return (obs, state, alive & ~done, total + reward * alive), None

        start = (obs, state, jax.numpy.bool_(True), jax.numpy.float32(0))
        keys = jax.random.split(key, env_params.max_steps_in_episode)
        return jax.lax.scan(step, start, keys)[0][3]

    return float(jax.jit(jax.vmap(play))(jax.random.split(key, episodes)).mean())
