"""The idiomatic program, by default with its fastest batch."""

import sys
import time

import jax
from protocol import NETWORKS, Progress, Result, Settings, read_settings

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.bench.idiomatic.program import make_train

# Its fastest batch of those that speedup.py tries.
NUM_ENVS = 256
NUM_STEPS = 32


def main(settings: Settings) -> None:
    """Train, print the result."""
    num_envs, num_steps = settings.num_envs or NUM_ENVS, settings.num_steps or NUM_STEPS
    per_update = num_envs * num_steps
    updates = max(1, settings.max_env_steps // per_update)
    layers = NETWORKS[settings.network]
    batch = Config(num_envs=num_envs, num_steps=num_steps, num_updates=updates, **layers)
    key = jax.random.key(settings.seed)
    startup_seconds = settings.seconds_since_start()
    started = time.perf_counter()
    program = jax.jit(make_train(batch)).lower(key).compile()
    compiled = time.perf_counter()
    outcome = jax.block_until_ready(program(key))
    train_seconds = time.perf_counter() - compiled
    progress = Progress()
    episodes = zip(outcome.mean_return.tolist(), outcome.num_episodes.tolist(), strict=True)
    progress.add_updates([(per_update, *update) for update in episodes], train_seconds)
    Result(
        algorithm="REINFORCE with a value baseline",
        batch={"num_envs": batch.num_envs, "num_steps": batch.num_steps},
        startup_seconds=startup_seconds,
        compile_seconds=compiled - started,
        train_seconds=train_seconds,
        env_steps=per_update * batch.num_updates,
        solved_at=progress.solved_at,
    ).send("jax", "gymnax", "flax")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
