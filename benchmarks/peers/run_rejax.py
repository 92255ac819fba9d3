"""rejax's PPO on gymnax's CartPole-v1, with rejax's defaults, as one compiled program."""

import sys
import time
from typing import Any

import jax
from protocol import Progress, Result, Settings, read_settings
from rejax import PPO

NUM_ENVS = 64
NUM_STEPS = 64
EVALUATIONS = 100


def make(settings: Settings) -> PPO:
    """Return the algorithm, whose training is a hundredth of the budget of environment steps."""
    num_envs = settings.num_envs or NUM_ENVS
    num_steps = settings.num_steps or NUM_STEPS
    one_update = num_envs * num_steps
    stretch = one_update * max(1, -(-settings.max_env_steps // (one_update * EVALUATIONS)))
    return PPO.create(
        env="CartPole-v1",
        num_envs=num_envs,
        num_steps=num_steps,
        eval_freq=stretch,
        total_timesteps=stretch,
        skip_initial_evaluation=True,
    )


def train(ppo: PPO, state: Any, program: Any, settings: Settings) -> tuple[Progress, float, int]:
    """Train until solved or a budget is spent: when it was solved, seconds, environment steps.

    rejax reports no training returns, and its evaluations cost more than its training: episodes
    are those of evaluations, whose time does not count.
    """
    play = jax.jit(lambda x: ppo.eval_callback(ppo, x, x.rng)[1])
    progress, seconds, env_steps = Progress(), 0.0, 0
    while env_steps + ppo.total_timesteps <= max(settings.max_env_steps, ppo.total_timesteps):
        started = time.perf_counter()
        state = jax.block_until_ready(program(state))
        seconds += time.perf_counter() - started
        env_steps += ppo.total_timesteps
        returns = play(state)
        progress.add(env_steps, seconds, float(returns.sum()), len(returns))
        if progress.solved_at or seconds >= settings.max_seconds:
            break
    return progress, seconds, int(state.global_step)


def main(settings: Settings) -> None:
    """Train, print the result."""
    ppo = make(settings)
    key = jax.random.key(settings.seed)
    startup_seconds = settings.seconds_since_start()
    started = time.perf_counter()
    state = jax.jit(ppo.init_state)(key)
    silent = ppo.replace(eval_callback=lambda _algo, _state, _key: ())
    program = jax.jit(lambda x: silent.train(train_state=x)[0]).lower(state).compile()
    compile_seconds = time.perf_counter() - started
    progress, train_seconds, env_steps = train(ppo, state, program, settings)
    Result(
        algorithm="PPO",
        batch={"num_envs": ppo.num_envs, "num_steps": ppo.num_steps},
        startup_seconds=startup_seconds,
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        env_steps=env_steps,
        solved_at=progress.solved_at,
    ).send("rejax", "gymnax", "jax", "flax")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
