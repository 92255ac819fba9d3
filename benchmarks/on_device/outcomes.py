"""What users wait for: seconds to solve, populations of agents, and PPO for scale."""

import functools
import time
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from ppo import PPOSettings, make_ppo
from solving import quartiles, run_seeds

from on_device.report import Row, Stage
from on_device.sizes import Size
from on_device.speed import Timed, build, timed_rows
from purejaxrl_reinforce import Config, preset
from purejaxrl_reinforce.execution.machine import peak_device_bytes
from purejaxrl_reinforce.sweeps.population import AGENTS, Layout, Population, population_mesh

# The size of PureJaxRL's headline: 64 lanes, 125 steps of each and 63 updates are 504,000 steps.
HEADLINE: dict[str, Any] = {"rollout": "stream", "num_steps": 125, "num_updates": 63}
SOLVED = 475.0
# Agents that a device trains side by side, in the second try.
FEW = 256


def solve_stage(size: Size) -> Stage:
    """Return the stage of seconds until CartPole-v1 is solved."""
    return Stage(
        "solve", "how long until CartPole-v1 is solved?", {"cartpole": lambda: solve(size)}
    )


def agents_stage(size: Size) -> Stage:
    """Return the stage of many agents: all at once, and in groups in case that does not fit."""
    seeds, headline = preset("cartpole"), replace(preset("cartpole"), **HEADLINE)
    if size.updates is not None:
        seeds = replace(seeds, num_updates=size.updates, num_steps=size.num_steps)
        headline = replace(headline, num_updates=size.updates, num_steps=size.num_steps)
    cases = {}
    for config, number, what in (
        (headline, size.headline, "agents with 500,000 steps each"),
        (seeds, size.many, "seeds of the default preset"),
    ):
        for at_once in dict.fromkeys((number, min(FEW, number))) if number else ():
            name = f"{number:,} {what}, {at_once:,} at once"
            cases[name] = functools.partial(agents, size, config, number, at_once)
    return Stage("agents", "how long do many agents take?", cases)


def ppo_stage(size: Size, seed: int) -> Stage:
    """Return the stage of PureJaxRL's algorithm, for scale."""
    return Stage(
        "ppo", "how fast is a PPO of the same environment?", {"ppo": lambda: ppo(size, seed)}
    )


def solve(size: Size) -> list[Row]:
    """Train seeds until they are solved."""
    config = preset("cartpole")
    if size.updates is not None:
        config = replace(config, num_updates=size.updates, num_steps=size.num_steps)
    outcome = run_seeds(config, size.seeds)
    solved = int(np.isfinite(outcome["seconds"]).sum())
    return [
        {
            "name": what,
            "quartiles": quartiles(outcome[what]),
            "solved": solved,
            "seeds": size.seeds,
            "compile_seconds": outcome["compile_seconds"],
        }
        for what in ("seconds", "env_steps", "updates")
    ]


def agents(size: Size, config: Config, number: int, at_once: int) -> list[Row]:
    """Train agents side by side on each device, and evaluate them."""
    mesh = population_mesh(number, config.num_envs, jax.devices())
    per_device = -(-number // mesh.shape[AGENTS])
    at_once = 1 if jax.default_backend() == "cpu" else min(at_once, per_device)
    layout = Layout(mesh, -(-per_device // at_once), at_once)
    population = Population(config, layout, size.episodes)
    keys = np.asarray(jax.random.key_data(jax.random.split(jax.random.key(0), number)))
    configs = [config] * number
    population.advance(population.start(configs, keys), 1)  # warm up
    trained, steps, done = population.start(configs, keys), 0, 0
    started = time.perf_counter()
    while done < config.num_updates:
        length = min(population.longest_call, config.num_updates - done)
        trained, metrics = population.advance(trained, length)
        steps += int(metrics.num_steps.sum(dtype=np.int64))
        done += length
    seconds = time.perf_counter() - started
    scores = population.evaluate(trained, jax.random.key(1)).mean(axis=1)
    return [
        {
            "name": "training",
            "agents": number,
            "at_once": at_once,
            "seconds": seconds,
            "env_steps": steps,
            "sps": steps / seconds,
            "solved": int((scores >= SOLVED).sum()),
            "worst": float(scores.min()),
            "compile_seconds": population.compile_seconds,
            "program_bytes": population.memory_bytes,
            "peak_device_bytes": peak_device_bytes(),
        }
    ]


def ppo(size: Size, seed: int) -> list[Row]:
    """Time trainings of PPO."""

    def make(num_envs: int, num_steps: int) -> Timed:
        updates = max(2, size.slots // (num_envs * num_steps) // 16)
        settings = PPOSettings(num_envs=num_envs, num_steps=num_steps, num_updates=updates)
        key = jax.random.key(seed)
        program = jax.jit(make_ppo(settings)).lower(key).compile()
        return Timed(functools.partial(program, key), num_envs * num_steps * updates)

    makers = {f"{n:,} x {t} steps": functools.partial(make, n, t) for n, t in size.ppo}
    built, failed = build(makers)
    rows = timed_rows(built, size.repeats, "")
    for row in rows:
        row["last_mean_return"] = float(built[row["name"]].call()[1][-1])
    return [*rows, *failed]
