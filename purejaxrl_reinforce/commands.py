"""What `evaluate` of the command line does."""

from pathlib import Path

import jax
import numpy as np

from purejaxrl_reinforce.config import LARGEST_SIZE
from purejaxrl_reinforce.evaluation import evaluate as play_episodes
from purejaxrl_reinforce.memory import evaluation_bytes, require_memory
from purejaxrl_reinforce.results import load_run


def evaluate(run_dir: Path, num_episodes: int, greedy: bool, seed: int) -> int:
    """Play whole episodes with the policy of a run and print their returns; return 0.

    Raises:
        ValueError: the input is bad.
    """
    if not 1 <= num_episodes <= LARGEST_SIZE:
        raise ValueError(f"episodes must lie between 1 and {LARGEST_SIZE}, not {num_episodes}")
    config, params = load_run(run_dir)
    require_memory(evaluation_bytes(config, num_episodes), "play fewer episodes")
    played = play_episodes(config, params, jax.random.key(seed), num_episodes, greedy)
    returns = np.asarray(played.episode_return, np.float64)
    print(
        f"{config.env}, {num_episodes:,} {'greedy' if greedy else 'sampled'} episodes:"
        f" mean {returns.mean():.1f}, standard deviation {returns.std():.1f},"
        f" min {returns.min():.1f}, max {returns.max():.1f}"
    )
    return 0
