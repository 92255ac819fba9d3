"""Stoix's own ff_reinforce on gymnax's CartPole-v1, with the settings of its configuration."""

import os
import sys
import time
import types
from pathlib import Path
from typing import Any

import jax
from gymnax_play import mean_return
from progress import Progress
from protocol import Result, Settings, read_settings

UPDATES_PER_CALL = 5


def import_system() -> Any:
    """Import ff_reinforce. Its logger imports services that nothing is sent to."""
    for name in ("wandb", "neptune", "neptune.utils", "tensorboard_logger", "envpool"):
        sys.modules[name] = types.ModuleType(name)
    unused: Any = object()
    sys.modules["neptune.utils"].stringify_unsupported = unused
    sys.modules["tensorboard_logger"].configure = unused
    sys.modules["tensorboard_logger"].log_value = unused
    sys.path.insert(0, os.environ["PEER_SOURCES"])
    from stoix.systems.vpg import ff_reinforce

    return ff_reinforce


def configuration(settings: Settings) -> Any:
    """Return Stoix's configuration for one device, with the batch that is asked for."""
    from hydra import compose, initialize_config_dir
    from omegaconf import OmegaConf

    configs = Path(os.environ["PEER_SOURCES"]) / "stoix" / "configs"
    with initialize_config_dir(str(configs / "default" / "anakin"), version_base="1.2"):
        config = compose("default_ff_reinforce", [f"hydra.searchpath=[file://{configs}]"])
    OmegaConf.set_struct(config, False)  # as Stoix's own main does
    config.num_devices = 1
    config.arch.num_envs = settings.num_envs or config.arch.total_num_envs
    config.system.rollout_length = settings.num_steps or config.system.rollout_length
    one_update = config.arch.num_envs * config.system.rollout_length
    config.arch.num_updates = max(1, settings.max_env_steps // one_update)
    config.arch.num_updates_per_eval = min(UPDATES_PER_CALL, config.arch.num_updates)
    return config


def train(learn: Any, state: Any, config: Any, settings: Settings, progress: Progress) -> Any:
    """Train until solved or a budget is spent: state, seconds, steps, what ended it."""
    seconds, env_steps = 0.0, 0
    calls = config.arch.num_updates // config.arch.num_updates_per_eval
    one_update = config.arch.num_envs * config.system.rollout_length
    for _ in range(calls):
        started = time.perf_counter()
        output = jax.block_until_ready(learn(state))
        taken = time.perf_counter() - started
        state, metrics = output.learner_state, output.episode_metrics
        ended = metrics["is_terminal_step"][0]  # [updates, ...] of the only device
        axes = tuple(range(1, ended.ndim))
        sums = (metrics["episode_return"][0] * ended).sum(axes).tolist()
        for i, (total, count) in enumerate(zip(sums, ended.sum(axes).tolist(), strict=True), 1):
            at = seconds + taken * i / len(sums)
            progress.add(env_steps + i * one_update, at, total, count)
        seconds, env_steps = seconds + taken, env_steps + len(sums) * one_update
        if progress.solved_at:
            return state, seconds, env_steps, "solved"
        if seconds >= settings.max_seconds:
            return state, seconds, env_steps, "seconds"
    return state, seconds, env_steps, "env_steps"


def evaluate(network: Any, params: Any, episodes: int, key: jax.Array) -> float:
    """Return the mean return of so many greedy episodes."""
    import gymnax

    def act(obs: jax.Array, _key: jax.Array) -> jax.Array:
        return network.apply(params, obs[None]).mode()[0]

    return mean_return(*gymnax.make("CartPole-v1"), act, episodes, key)


def main(settings: Settings) -> None:
    """Train, evaluate, print the result."""
    system = import_system()
    config = configuration(settings)
    env, _ = system.environments.make(config)
    key, key_play, *keys = jax.random.split(jax.random.PRNGKey(settings.seed), 4)
    startup_seconds = settings.seconds_since_start()
    started = time.perf_counter()
    learn, network, state = system.learner_setup(env, (key, *keys), config)
    learn = learn.lower(state).compile()
    compile_seconds = time.perf_counter() - started
    progress = Progress()
    state, train_seconds, env_steps, stopped_by = train(learn, state, config, settings, progress)
    params = jax.tree.map(lambda x: x[0, 0], state.params.actor_params)
    Result(
        peer="stoix",
        algorithm="REINFORCE with a value baseline",
        seed=settings.seed,
        batch={
            "num_envs": config.arch.num_envs,
            "num_steps": config.system.rollout_length,
            "gradient_steps": 1,
        },
        startup_seconds=startup_seconds,
        compile_seconds=compile_seconds,
        train_seconds=train_seconds,
        env_steps=env_steps,
        curve=progress.thinned_curve(),
        solved_at=progress.solved_at,
        evaluation={
            "policy": "greedy",
            "episodes": settings.eval_episodes,
            "mean_return": evaluate(network, params, settings.eval_episodes, key_play),
        },
        stopped_by=stopped_by,
        notes="whole run on one device, as one call per five updates",
    ).send("stoa-env", "gymnax", "jax", "flax", "distrax")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
