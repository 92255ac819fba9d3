"""This package's preset `cartpole`, through its public interface."""

import sys
from dataclasses import replace

import jax
from progress import Progress
from protocol import NETWORKS, Result, Settings, read_settings

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.execution.jax_settings import use_all_cores
from purejaxrl_reinforce.execution.program import Program

LONGEST_EPISODE = 500


def train(program: Program, settings: Settings, progress: Progress) -> tuple[float, int, str]:
    """Run the compiled program until it is done or its time is up: seconds, steps, why it ended."""
    seconds, env_steps = 0.0, 0
    for chunk in program.run():
        metrics, done = chunk.metrics, 0
        total = int(metrics.num_steps.sum())
        rows = zip(metrics.num_steps, metrics.mean_return, metrics.num_episodes, strict=True)
        for steps, mean_return, episodes in rows:
            done += int(steps)
            at = seconds + chunk.seconds * done / total
            return_sum = float(mean_return) * int(episodes) if episodes else 0.0
            progress.add(env_steps + done, at, return_sum, int(episodes))
        seconds, env_steps = seconds + chunk.seconds, env_steps + total
        if seconds >= settings.max_seconds:
            return seconds, env_steps, "seconds"
    return seconds, env_steps, "env_steps"


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
    key = jax.random.key(settings.seed)
    startup_seconds = settings.seconds_since_start()
    program = Program(config, key)
    progress = Progress()
    seconds, env_steps, stopped_by = train(program, settings, progress)
    Result(
        peer="ours",
        algorithm="REINFORCE with a value baseline",
        seed=settings.seed,
        batch={"num_envs": num_envs, "num_steps": num_steps, "gradient_steps": 1},
        startup_seconds=startup_seconds,
        compile_seconds=program.compile_seconds,
        train_seconds=seconds,
        env_steps=env_steps,
        solved_at=progress.solved_at,
        stopped_by=stopped_by,
    ).send("purejaxrl_reinforce", "jax", "gymnax", "flax")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
