"""Stable-Baselines3's A2C with its defaults, four environments as its documentation has them."""

import contextlib
import sys
import time
from collections.abc import Callable

import gymnasium
from progress import Progress
from protocol import Result, Settings, read_settings

NUM_ENVS = 4
NUM_STEPS = 5


class BudgetSpentError(Exception):
    """Raised by an environment's step to end training, solved or not, whoever drives it."""


class WatchedEnv(gymnasium.Wrapper):
    """CartPole-v1 that tells its run of each step and finished episode."""

    def __init__(self, run: "GymnasiumRun") -> None:
        super().__init__(gymnasium.make("CartPole-v1"))
        self._run = run
        self._return = 0.0

    def reset(self, **options):
        """Start an episode."""
        self._return = 0.0
        return self.env.reset(**options)

    def step(self, action):
        """Take a step; raise BudgetSpentError when it is one too many."""
        obs, reward, terminated, truncated, info = self.env.step(action)
        self._return += float(reward)
        self._run.stepped(self._return if terminated or truncated else None)
        return obs, reward, terminated, truncated, info


class GymnasiumRun:
    """Counts the steps and episodes of all environments, keeps the clock, ends the run.

    Attributes:
        progress: the learning curve.
        env_steps: taken so far by all environments together.
        train_seconds: of the finished run.
        stopped_by: "solved", or which budget ended it.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.progress = Progress()
        self.env_steps = 0
        self.train_seconds = 0.0
        self.startup_seconds = 0.0
        self.stopped_by = "env_steps"
        self._started = 0.0

    def make_env(self) -> WatchedEnv:
        """Return one more environment of this run."""
        return WatchedEnv(self)

    def train(self, learn: Callable[[], object]) -> None:
        """Call `learn`, which trains until an environment ends it or it is done."""
        self.startup_seconds = self.settings.seconds_since_start()
        self._started = time.perf_counter()
        with contextlib.suppress(BudgetSpentError):
            learn()
        self.train_seconds = self.seconds()

    def seconds(self) -> float:
        """Return the training time so far."""
        return time.perf_counter() - self._started

    def stepped(self, finished_return: float | None) -> None:
        """Count a step, and an episode if it ended one."""
        self.env_steps += 1
        seconds = self.seconds()
        if finished_return is not None:
            self.progress.add(self.env_steps, seconds, finished_return, 1)
        if self.progress.solved_at:
            self.stopped_by = "solved"
            raise BudgetSpentError
        if self.env_steps >= self.settings.max_env_steps:
            raise BudgetSpentError
        if seconds >= self.settings.max_seconds:
            self.stopped_by = "seconds"
            raise BudgetSpentError

    def outcome(self) -> dict:
        """Return the fields of a Result that this run knows."""
        return {
            "seed": self.settings.seed,
            "startup_seconds": self.startup_seconds,
            "train_seconds": self.train_seconds,
            "env_steps": self.env_steps,
            "solved_at": self.progress.solved_at,
            "stopped_by": self.stopped_by,
        }


def main(settings: Settings) -> None:
    """Train, print the result."""
    from stable_baselines3 import A2C
    from stable_baselines3.common.env_util import make_vec_env

    num_envs = settings.num_envs or NUM_ENVS
    num_steps = settings.num_steps or NUM_STEPS
    run = GymnasiumRun(settings)
    envs = make_vec_env(run.make_env, n_envs=num_envs, seed=settings.seed)
    model = A2C("MlpPolicy", envs, n_steps=num_steps, seed=settings.seed, device="cpu")
    run.train(lambda: model.learn(total_timesteps=settings.max_env_steps))
    Result(
        peer="sb3_a2c",
        algorithm="A2C",
        batch={"num_envs": num_envs, "num_steps": num_steps, "gradient_steps": 1},
        compile_seconds=0.0,
        **run.outcome(),
    ).send("stable_baselines3", "torch", "gymnasium", "numpy")


if __name__ == "__main__":
    main(read_settings(sys.argv[1:]))
