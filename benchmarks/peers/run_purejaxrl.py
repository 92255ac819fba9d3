"""PureJaxRL's own PPO script on gymnax's CartPole-v1, with the settings at its end."""

import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import jax
from protocol import Progress, Result, Settings, read_settings

# What the script sets for CartPole-v1 where it is run by itself.
DEFAULTS = {
    "LR": 2.5e-4,
    "NUM_ENVS": 4,
    "NUM_STEPS": 128,
    "UPDATE_EPOCHS": 4,
    "NUM_MINIBATCHES": 4,
    "GAMMA": 0.99,
    "GAE_LAMBDA": 0.95,
    "CLIP_EPS": 0.2,
    "ENT_COEF": 0.01,
    "VF_COEF": 0.5,
    "MAX_GRAD_NORM": 0.5,
    "ACTIVATION": "tanh",
    "ENV_NAME": "CartPole-v1",
    "ANNEAL_LR": True,
}


def import_script() -> Any:
    """Import ppo.py. Its wrappers import brax and navix, for environments that are not played."""
    unused = ("brax", "brax.envs", "brax.envs.wrappers", "brax.envs.wrappers.training", "navix")
    for name in unused:
        sys.modules[name] = types.ModuleType(name)
    sys.modules["brax"].envs = sys.modules["brax.envs"]
    training = sys.modules["brax.envs.wrappers.training"]
    training.EpisodeWrapper = training.AutoResetWrapper = object
    sys.path.insert(0, str(Path(os.environ["PEER_SOURCES"]) / "purejaxrl"))
    import ppo

    return ppo


def settings_of_script(settings: Settings) -> dict[str, Any]:
    """Return the script's settings, laid out for the budget of environment steps."""
    batch = {"NUM_ENVS": settings.num_envs, "NUM_STEPS": settings.num_steps}
    chosen = {name: size for name, size in batch.items() if size is not None}
    config = {**DEFAULTS, **chosen}
    one_update = config["NUM_ENVS"] * config["NUM_STEPS"]
    return {**config, "TOTAL_TIMESTEPS": max(one_update, settings.max_env_steps)}


def main(settings: Settings) -> None:
    """Train once and print the result."""
    ppo = import_script()
    config = settings_of_script(settings)
    key = jax.random.PRNGKey(settings.seed)
    startup_seconds = settings.seconds_since_start()
    started = time.perf_counter()
    program = jax.jit(ppo.make_train(config)).lower(key).compile()
    compiled = time.perf_counter()
    out = jax.block_until_ready(program(key))
    train_seconds = time.perf_counter() - compiled

    ended = out["metrics"]["returned_episode"]  # [updates, steps, environments]
    counts = ended.sum((1, 2))
    sums = (out["metrics"]["returned_episode_returns"] * ended).sum((1, 2))
    steps = ended.shape[1] * ended.shape[2]
    progress = Progress()
    progress.add_updates(
        [(steps, float(s / max(n, 1)), int(n)) for s, n in zip(sums, counts, strict=True)],
        train_seconds,
    )
    Result(
        algorithm="PPO",
        batch={"num_envs": config["NUM_ENVS"], "num_steps": config["NUM_STEPS"]},
        startup_seconds=startup_seconds,
        compile_seconds=compiled - started,
        train_seconds=train_seconds,
        env_steps=steps * ended.shape[0],
        solved_at=progress.solved_at,
    ).send("gymnax", "jax", "flax", "distrax")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
