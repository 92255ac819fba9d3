"""Returns of a trained policy, in JAX and in the real environment, and whether they agree."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.evaluate import Evaluation, evaluate
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import LARGEST_SIZE, Config
from purejaxrl_reinforce.execution.memory import program_bytes, require_memory
from purejaxrl_reinforce.runs.saved_run import load_run
from purejaxrl_reinforce.statistics import Interval, difference_interval, mean_interval


class ReturnStatistics(NamedTuple):
    """Returns of n episodes: their mean with its 95% interval, and how they spread."""

    mean: Interval
    std: float
    min: float
    max: float

    def __str__(self) -> str:
        return (
            f"mean {self.mean.value:.1f} ({show_bounds(self.mean)}), standard deviation"
            f" {self.std:.1f}, min {self.min:.1f}, max {self.max:.1f}"
        )


def evaluate_run(run_dir: Path, num_episodes: int, greedy: bool, seed: int, backend: str) -> str:
    """Play whole episodes with the policy of a run; return a text of their returns.

    Args:
        run_dir: of the run.
        num_episodes: how many, on each side.
        greedy: whether to take the most probable action, or to sample.
        seed: of all randomness.
        backend: jax; gymnasium plays the same number in the real environment too.

    Raises:
        ValueError: the input is bad.
    """
    if not 1 <= num_episodes <= LARGEST_SIZE:
        raise ValueError(f"episodes must lie between 1 and {LARGEST_SIZE}, not {num_episodes}")
    run = load_run(run_dir)
    config, params = run.config, run.params
    title = f"{config.env}, {num_episodes:,} {'greedy' if greedy else 'sampled'} episodes"
    if backend == "jax":
        returns = returns_in_jax(config, params, num_episodes, greedy, seed)
        return f"{title}: {return_statistics(returns)}"
    theirs = returns_in_gymnasium(config, params, num_episodes, greedy, seed)
    ours = returns_in_jax(config, params, num_episodes, greedy, seed)
    return (
        f"{title}, in JAX: {return_statistics(ours)}\n"
        f"{title}, in Gymnasium: {return_statistics(theirs)}\n{agreement(ours, theirs)}"
    )


def returns_in_jax(
    config: Config, params: Params, num_episodes: int, greedy: bool, seed: int
) -> np.ndarray:
    """Return the returns of episodes played in gymnax, [n], float64."""
    key = jax.random.key(seed)
    compiled = evaluate.lower(config, params, key, num_episodes, greedy).compile()
    require_memory(program_bytes(compiled), "play fewer episodes")
    return _returns(compiled(config, params, key))


def returns_in_gymnasium(
    config: Config, params: Params, num_episodes: int, greedy: bool, seed: int
) -> np.ndarray:
    """Return the returns of episodes played in Gymnasium, [n], float64.

    Raises:
        ValueError: it has no environment of that name and those spaces.
    """
    from purejaxrl_reinforce.evaluation.gymnasium import evaluate_in_gymnasium

    key = jax.random.key(seed)
    return _returns(evaluate_in_gymnasium(config, params, key, num_episodes, greedy))


def return_statistics(returns: np.ndarray) -> ReturnStatistics:
    """Return the statistics of returns [n]."""
    return ReturnStatistics(
        mean_interval(returns), float(returns.std()), float(returns.min()), float(returns.max())
    )


def agreement(ours: np.ndarray, theirs: np.ndarray) -> str:
    """Say whether returns [n] in JAX and [m] in Gymnasium agree.

    They do if the 95% Welch interval of the difference of their means includes 0. For two equal
    sides, one interval in twenty does not.
    """
    difference = difference_interval(ours, theirs)
    if not np.isfinite(difference.low):
        return "one episode cannot show whether they agree"
    agree = difference.low <= 0 <= difference.high
    return (
        f"they {'agree' if agree else 'differ'}: JAX minus Gymnasium = {difference.value:z.1f}"
        f" ({difference.low:z.1f} to {difference.high:z.1f}),"
        f" an interval that {'includes' if agree else 'excludes'} 0"
    )


def show_bounds(interval: Interval) -> str:
    """Return the bounds of an interval in words."""
    if not np.isfinite(interval.low):
        return "no interval from one episode"
    return f"95% interval {interval.low:z.1f} to {interval.high:z.1f}"


def _returns(played: Evaluation) -> np.ndarray:
    return np.asarray(played.episode_return, np.float64)
