"""One training run of a peer that plays Gymnasium's CartPole-v1 from Python."""

import contextlib
import time
from collections.abc import Callable

import gymnasium
import numpy as np
from progress import Progress
from protocol import Settings


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
        train_seconds: of the finished run, compilation apart.
        stopped_by: "solved", or which budget ended it.
    """

    def __init__(self, settings: Settings, compile_seconds: Callable[[], float] = lambda: 0.0):
        self.settings = settings
        self.progress = Progress()
        self.env_steps = 0
        self.train_seconds = 0.0
        self.startup_seconds = 0.0
        self.stopped_by = "env_steps"
        self._compile_seconds = compile_seconds
        self._compiled_before = 0.0
        self._started = 0.0

    def make_env(self) -> WatchedEnv:
        """Return one more environment of this run."""
        return WatchedEnv(self)

    def train(self, learn: Callable[[], object]) -> None:
        """Call `learn`, which trains until an environment ends it or it is done."""
        self._compiled_before = self._compile_seconds()
        self.startup_seconds = self.settings.seconds_since_start() - self._compiled_before
        self._started = time.perf_counter()
        with contextlib.suppress(BudgetSpentError):
            learn()
        self.train_seconds = self.seconds()

    def seconds(self) -> float:
        """Return the training time so far."""
        compiling = self._compile_seconds() - self._compiled_before
        return time.perf_counter() - self._started - compiling

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
            "curve": self.progress.thinned_curve(),
            "solved_at": self.progress.solved_at,
            "stopped_by": self.stopped_by,
        }


def play(act: Callable[[np.ndarray], np.ndarray], settings: Settings) -> float:
    """Return the mean return of whole episodes played side by side; act: [N, 4] -> [N]."""
    envs = [gymnasium.make("CartPole-v1") for _ in range(settings.eval_episodes)]
    # Seeds far from the training environments', which count up from the run's seed.
    obs = np.stack([e.reset(seed=10**6 + i)[0] for i, e in enumerate(envs)])
    living, returns = list(range(len(envs))), np.zeros(len(envs))
    while living:
        survivors = []
        for i, action in zip(living, act(obs[living]), strict=True):
            obs[i], reward, terminated, truncated, _ = envs[i].step(int(action))
            returns[i] += reward
            if not (terminated or truncated):
                survivors.append(i)
        living = survivors
    return float(returns.mean())
