"""The idiomatic program: train once, or find its best batch.

python run_idiomatic.py '{"seed": 3}'                             train once, print a result
python run_idiomatic.py '{"mode": "sweep", "lanes": [64, 1024]}'  the best of lanes x steps
"""

import json
import statistics
import sys
import time
from typing import Any

import jax
from idiomatic import Settings, make_train
from protocol import NETWORKS, Progress, Result
from protocol import Settings as RunSettings

# Each batch is timed for about so many environment steps.
SWEEP = {"lanes": (64, 256, 1024, 4096), "steps": (32, 128, 500), "slots": 1_000_000, "repeats": 3}


def timed(settings: Settings, repeats: int) -> dict[str, Any]:
    """Return the steps per second of whole trainings, compiled once and warmed up once."""
    key = jax.random.key(0)
    program = jax.jit(make_train(settings)).lower(key).compile()
    jax.block_until_ready(program(key))
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(program(key))
        seconds.append(time.perf_counter() - started)
    env_steps = settings.num_envs * settings.num_steps * settings.num_updates
    sps = env_steps / statistics.median(seconds)
    return {**settings._asdict(), "seconds": seconds, "sps": sps}


def sweep(network: str, lanes: Any, steps: Any, slots: int, repeats: int) -> dict[str, Any]:
    """Time every batch of lanes x steps; return all of it and the fastest."""
    tried = [
        timed(Settings(n, t, max(1, slots // (n * t)), **NETWORKS[network]), repeats)
        for n in lanes
        for t in steps
    ]
    return {"tried": tried, "best": max(tried, key=lambda batch: batch["sps"])}


def train_once(settings: RunSettings) -> None:
    """Train, print the result."""
    batch = Settings(
        settings.num_envs or 64, settings.num_steps or 500, **NETWORKS[settings.network]
    )
    per_update = batch.num_envs * batch.num_steps
    batch = batch._replace(num_updates=max(1, settings.max_env_steps // per_update))
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
    given = json.loads(sys.argv[1]) if sys.argv[1:] else {}
    if given.pop("mode", "train") == "sweep":
        print(json.dumps(sweep(**{"network": "small", **SWEEP, **given})))
    else:
        train_once(RunSettings(**given))
