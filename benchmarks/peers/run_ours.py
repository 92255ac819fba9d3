"""This package's preset `cartpole`, through its public interface."""

import sys
from dataclasses import replace

import jax
from protocol import NETWORKS, Progress, Result, Settings, read_settings

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.execution.jax_settings import use_all_cores
from purejaxrl_reinforce.execution.program import Program

LONGEST_EPISODE = 500


def train(program: Program, settings: Settings) -> tuple[Progress, float, int]:
    """Train until done or time is up: when it was solved, seconds, environment steps."""
    progress, seconds, env_steps = Progress(), 0.0, 0
    for chunk in program.run():
        metrics = chunk.metrics
        rows = zip(metrics.num_steps, metrics.mean_return, metrics.num_episodes, strict=True)
        progress.add_updates(rows, chunk.seconds, after=(env_steps, seconds))
        seconds, env_steps = seconds + chunk.seconds, env_steps + int(metrics.num_steps.sum())
        if seconds >= settings.max_seconds:
            break
    return progress, seconds, env_steps


def main(settings: Settings) -> None:
    """Train, print the result.

    As many updates as fit into the budget of environment steps if every episode lasts to the
    limit; the learning rate falls to zero over them. By default these are the preset's own 100.
    """
    use_all_cores()
    config = preset("cartpole")
    num_envs = settings.num_envs or config.num_envs
    num_steps = settings.num_steps or LONGEST_EPISODE
    num_updates = max(1, settings.max_env_steps // (num_envs * num_steps))
    sizes = {"num_envs": num_envs, "num_steps": num_steps, "num_updates": num_updates}
    config = replace(config, **sizes, **NETWORKS[settings.network])
    startup_seconds = settings.seconds_since_start()
    program = Program(config, jax.random.key(settings.seed))
    progress, seconds, env_steps = train(program, settings)
    Result(
        algorithm="REINFORCE with a value baseline",
        batch={"num_envs": num_envs, "num_steps": num_steps},
        startup_seconds=startup_seconds,
        compile_seconds=program.compile_seconds,
        train_seconds=seconds,
        env_steps=env_steps,
        solved_at=progress.solved_at,
    ).send("purejaxrl_reinforce", "jax", "gymnax", "flax")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
