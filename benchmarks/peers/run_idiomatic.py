"""The idiomatic program: train once, time one batch, or find its best batch.

python run_idiomatic.py '{"seed": 3}'                             train once, print a result
python run_idiomatic.py '{"mode": "time", "num_envs": 1024}'      steps per second of one batch
python run_idiomatic.py '{"mode": "sweep", "lanes": [64, 1024]}'  the best of lanes x steps
"""

import json
import statistics
import sys
import time
from typing import Any

import gymnax
import jax
import jax.numpy as jnp
from idiomatic import Outcome, Settings, make_networks, make_train
from jax import Array
from progress import Progress
from protocol import NETWORKS, Result, read_object, read_settings, refuse
from protocol import Settings as RunSettings

SWEEP_LANES = (64, 256, 1024, 4096)
SWEEP_STEPS = (32, 128, 500)
SWEEP_SLOTS = 1_000_000  # environment steps of one timed run
REPEATS = 3


def evaluate(settings: Settings, params: tuple[Any, Any], key: Array, episodes: int) -> float:
    """Return the mean return of greedy episodes played side by side."""
    env, env_params = gymnax.make("CartPole-v1")
    policy, _ = make_networks(settings)

    def step(carry: tuple[Any, ...], key_step: Array) -> tuple[tuple[Any, ...], None]:
        obs, env_state, living, total = carry
        action = policy.apply(params[0], obs).argmax(axis=-1)
        obs, env_state, reward, terminated, truncated, _ = jax.vmap(
            env.step, in_axes=(0, 0, 0, None)
        )(jax.random.split(key_step, episodes), env_state, action, env_params)
        total = total + living * reward
        return (obs, env_state, living & ~(terminated | truncated), total), None

    key_reset, key_play = jax.random.split(key)
    obs, env_state = jax.vmap(env.reset, in_axes=(0, None))(
        jax.random.split(key_reset, episodes), env_params
    )
    start = obs, env_state, jnp.ones(episodes, bool), jnp.zeros(episodes)
    keys = jax.random.split(key_play, env_params.max_steps_in_episode)
    (*_, total), _ = jax.lax.scan(step, start, keys)
    return float(total.mean())


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


def compiled_run(batch: Settings, key: Array) -> tuple[Outcome, float, float]:
    """Train once; return the outcome, the seconds of compiling and of training."""
    started = time.perf_counter()
    program = jax.jit(make_train(batch)).lower(key).compile()
    compiled = time.perf_counter()
    outcome = jax.block_until_ready(program(key))
    return outcome, compiled - started, time.perf_counter() - compiled


def train_once(settings: RunSettings) -> None:
    """Train, evaluate, print the result."""
    batch = Settings(
        settings.num_envs or 64, settings.num_steps or 500, **NETWORKS[settings.network]
    )
    per_update = batch.num_envs * batch.num_steps
    batch = batch._replace(num_updates=max(1, settings.max_env_steps // per_update))
    key = jax.random.key(settings.seed)
    startup_seconds = settings.seconds_since_start()
    outcome, compile_seconds, train_seconds = compiled_run(batch, key)
    progress = Progress()
    episodes = zip(outcome.mean_return.tolist(), outcome.num_episodes.tolist(), strict=True)
    progress.add_updates([(per_update, *update) for update in episodes], train_seconds)
    mean_return = evaluate(
        batch, outcome.params, jax.random.fold_in(key, 1), settings.eval_episodes
    )
    Result(
        peer="idiomatic",
        algorithm="REINFORCE with a value baseline",
        seed=settings.seed,
        batch={"num_envs": batch.num_envs, "num_steps": batch.num_steps, "gradient_steps": 1},
        startup_seconds=startup_seconds,
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        env_steps=per_update * batch.num_updates,
        curve=progress.thinned_curve(),
        solved_at=progress.solved_at,
        evaluation={
            "policy": "greedy",
            "episodes": settings.eval_episodes,
            "mean_return": mean_return,
        },
        stopped_by="env_steps",
        notes="learning rates fall to zero over the budget of environment steps",
    ).send("jax", "gymnax", "flax")


def batch_settings(given: dict[str, Any]) -> Settings:
    """Return the settings of a batch to time."""
    unknown = sorted(set(given) - set(Settings._fields))
    if unknown:
        refuse(f"unknown setting {unknown[0]!r}; there are {', '.join(Settings._fields)}")
    return Settings(**given)


def main(argv: list[str]) -> None:
    """Do what the settings' `mode` says: train (the default), time or sweep."""
    given = read_object(argv)
    mode = given.pop("mode", "train")
    repeats = given.pop("repeats", REPEATS)
    if mode == "train":
        train_once(read_settings([json.dumps(given)]))
    elif mode == "time":
        print(json.dumps(timed(batch_settings(given), repeats)))
    elif mode == "sweep":
        lanes, steps = given.get("lanes", SWEEP_LANES), given.get("steps", SWEEP_STEPS)
        network, slots = given.get("network", "small"), given.get("slots", SWEEP_SLOTS)
        print(json.dumps(sweep(lanes, steps, network, slots, repeats)))
    else:
        refuse(f"mode must be train, time or sweep, not {mode!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
