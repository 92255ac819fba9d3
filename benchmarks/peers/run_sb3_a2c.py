"""Stable-Baselines3's A2C with its defaults, four environments as its documentation has them."""

import sys
import time

from protocol import Progress, Result, Settings, read_settings
from stable_baselines3 import A2C
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env

NUM_ENVS = 4
NUM_STEPS = 5


class Watch(BaseCallback):
    """Follows the finished episodes, and ends training once the task is solved or time is up."""

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.progress, self.max_seconds = Progress(), settings.max_seconds
        self.started = time.perf_counter()

    def _on_step(self) -> bool:
        seconds = time.perf_counter() - self.started
        for info in self.locals["infos"]:
            if "episode" in info:
                self.progress.add(self.num_timesteps, seconds, float(info["episode"]["r"]), 1)
        return self.progress.solved_at is None and seconds < self.max_seconds


def main(settings: Settings) -> None:
    """Train, print the result."""
    num_envs = settings.num_envs or NUM_ENVS
    num_steps = settings.num_steps or NUM_STEPS
    envs = make_vec_env("CartPole-v1", n_envs=num_envs, seed=settings.seed)
    model = A2C("MlpPolicy", envs, n_steps=num_steps, seed=settings.seed, device="cpu")
    startup_seconds = settings.seconds_since_start()
    watch = Watch(settings)
    model.learn(total_timesteps=settings.max_env_steps, callback=watch)
    Result(
        algorithm="A2C",
        batch={"num_envs": num_envs, "num_steps": num_steps},
        startup_seconds=startup_seconds,
        compile_seconds=0.0,
        train_seconds=time.perf_counter() - watch.started,
        env_steps=watch.num_timesteps,
        solved_at=watch.progress.solved_at,
    ).send("stable_baselines3", "torch", "gymnasium", "numpy")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
