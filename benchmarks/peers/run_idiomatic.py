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
from progress import Progress
from protocol import NETWORKS, Result, read_object, read_settings
from protocol import Settings as RunSettings

SWEEP_LANES = (64, 256, 1024, 4096)
SWEEP_STEPS = (32, 128, 500)
SWEEP_SLOTS = 1_000_000  # environment steps of one timed run
REPEATS = 3


def timed(settings: Settings, repeats: int) -> dict[str, Any]:
    """Return the steps per second of whole trainings, compiled once and warmed up once."""
    key = jax.random.key(0)
    started = time.perf_counter()
    program = jax.jit(make_train(settings)).lower(key).compile()
    compile_seconds = time.perf_counter() - started
    jax.block_until_ready(program(key))
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        jax.block_until_ready(program(key))
        seconds.append(time.perf_counter() - started)
    env_steps = settings.num_envs * settings.num_steps * settings.num_updates
    return {
        **settings._asdict(),
        "compile_seconds": compile_seconds,
        "seconds": seconds,
        "sps": env_steps / statistics.median(seconds),
    }


def sweep(
    lanes: list[int], steps: list[int], network: str, slots: int, repeats: int
) -> dict[str, Any]:
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
    compile_seconds, train_seconds = compiled - started, time.perf_counter() - compiled
    progress = Progress()
    episodes = zip(outcome.mean_return.tolist(), outcome.num_episodes.tolist(), strict=True)
    progress.add_updates([(per_update, *update) for update in episodes], train_seconds)
    Result(
        peer="idiomatic",
        algorithm="REINFORCE with a value baseline",
        seed=settings.seed,
        batch={"num_envs": batch.num_envs, "num_steps": batch.num_steps, "gradient_steps": 1},
        startup_seconds=startup_seconds,
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        env_steps=per_update * batch.num_updates,
        solved_at=progress.solved_at,
        stopped_by="env_steps",
    ).send("jax", "gymnax", "flax")


def main(argv: list[str]) -> None:
    """Train, or with the setting `mode` of "sweep" find the best batch."""
    given = read_object(argv)
    if given.pop("mode", "train") == "train":
        train_once(read_settings([json.dumps(given)]))
        return
    lanes, steps = given.get("lanes", SWEEP_LANES), given.get("steps", SWEEP_STEPS)
    slots, repeats = given.get("slots", SWEEP_SLOTS), given.get("repeats", REPEATS)
    print(json.dumps(sweep(lanes, steps, given.get("network", "small"), slots, repeats)))


if __name__ == "__main__":
    main(sys.argv[1:])
