"""What a controller that knows the equations of Reacher-misc returns: a reference for its preset.

    python benchmarks/reacher_reference.py

Nobody published a return. The arm's two links have length 1, so the angles that reach a goal follow
from a triangle; of both elbows the controller takes the one that is nearer, and moves each angle
there as a damped spring would, with torques in their bounds.
"""

import jax
import jax.numpy as jnp
import numpy as np
from harness import run
from jax import Array

from purejaxrl_reinforce.environments.environment import make

STIFFNESS, DAMPING = 3.0, 2.5


def torque(obs: Array) -> Array:
    """Return the action [2] at an observation [8]: cosines, sines, velocities, goal."""
    cos, sin, velocity, goal = obs.reshape(4, 2)
    bend = jnp.arccos(jnp.clip(jnp.hypot(*goal) / 2, 0, 1))  # beyond reach: stretched
    sides = jnp.arctan2(goal[1], goal[0]) + bend * jnp.array([[1, -1], [-1, 1]])
    errors = sides - jnp.arctan2(sin, cos)
    errors = jnp.arctan2(jnp.sin(errors), jnp.cos(errors))  # the shorter way round
    nearer = errors[jnp.argmin(jnp.abs(errors).max(axis=1))]
    return STIFFNESS * nearer - DAMPING * velocity


def main(episodes: int = 10_000) -> None:
    """Play the controller.

    Args:
        episodes: how many.
    """
    env = make("Reacher-misc")

    def step(carry: tuple[Array, object], key: Array) -> tuple[tuple[Array, object], Array]:
        obs, state = carry
        result = env.step(jax.random.split(key, episodes), state, jax.vmap(torque)(obs))
        return (result.obs, result.env_state), result.reward

    key_reset, key_steps = jax.random.split(jax.random.key(0))
    start = env.reset(jax.random.split(key_reset, episodes))
    _, rewards = jax.lax.scan(step, start, jax.random.split(key_steps, env.time_limit))
    returns = np.asarray(rewards.sum(axis=0))
    print(f"{returns.mean():.2f} +- {2 * returns.std() / episodes**0.5:.2f}")


if __name__ == "__main__":
    run(main)
