"""Tasks that are known: the return that counts as solved, and the range that returns are in."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np

from purejaxrl_reinforce.config import Config

T = TypeVar("T")
K = TypeVar("K")

# The parameter of every environment that is its longest episode, in steps.
TIME_LIMIT = "max_steps_in_episode"

# From Gymnasium's registry.
THRESHOLDS = {
    "Acrobot-v1": -100.0,
    "CartPole-v0": 195.0,
    "CartPole-v1": 475.0,
    "MountainCar-v0": -110.0,
    "MountainCarContinuous-v0": 90.0,
}

# Lowest and highest return of an episode, as rewards and time limits have it.
RETURN_RANGES = {
    "Acrobot-v1": (-500.0, 0.0),
    "CartPole-v0": (0.0, 200.0),
    "CartPole-v1": (0.0, 500.0),
    "Catch-bsuite": (-1.0, 1.0),
    "MountainCar-v0": (-200.0, 0.0),
}


def task(config: Config) -> str:
    """Return the name of the environment, with its time limit if that is not its own.

    Returns are comparable, and thresholds and ranges known, within a task.
    """
    limit = config.env_params.get(TIME_LIMIT)
    return config.env if limit is None else f"{config.env} of {limit} steps"


def grouped(items: Iterable[T], key_of: Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items of each key, such as a task, both in the order in which they come."""
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key_of(item), []).append(item)
    return groups


def threshold(config: Config) -> float | None:
    """Return the mean return that counts as solved, or None where the task has none."""
    return THRESHOLDS.get(task(config))


def first_solved(config: Config, mean_returns: np.ndarray) -> int | None:
    """Return the number, counted from 1, of the first update whose mean return is enough.

    None where no update's is, or where the environment has no threshold.
    """
    enough = threshold(config)
    solved = mean_returns >= (np.inf if enough is None else enough)
    return int(solved.argmax()) + 1 if solved.any() else None
