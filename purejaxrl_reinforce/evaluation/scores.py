"""Returns of a trained policy, in JAX and in the real environment, and whether they agree."""

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.evaluate import evaluate
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.config import LARGEST_SIZE, Config
from purejaxrl_reinforce.execution.memory import program_bytes, require_memory
from purejaxrl_reinforce.runs.saved_run import SavedRun
from purejaxrl_reinforce.statistics import difference_interval, mean_interval


def evaluate_run(run: SavedRun, num_episodes: int, greedy: bool, seed: int, backend: str) -> str:
    """Play whole episodes with the policy of a run; return a text of their returns.

    Args:
        num_episodes: how many, on each side.
        backend: jax; gymnasium plays the same number in the real environment too.

    Raises:
        ValueError: the input is bad.
    """
    if not 1 <= num_episodes <= LARGEST_SIZE:
        raise ValueError(f"num_episodes must lie between 1 and {LARGEST_SIZE}, not {num_episodes}")
    arguments = run.config, run.params, num_episodes, greedy, seed
    title = f"{run.config.env}, {num_episodes:,} {'greedy' if greedy else 'sampled'} episodes"
    if backend == "jax":
        return f"{title}: {_show_returns(play_episodes(*arguments))}"
    theirs = play_episodes(*arguments, backend="gymnasium")
    ours = play_episodes(*arguments)
    return (
        f"{title}, in JAX: {_show_returns(ours)}\n"
        f"{title}, in Gymnasium: {_show_returns(theirs)}\n{agreement(ours, theirs)}"
    )


def play_episodes(
    config: Config, params: Params, num_episodes: int, greedy: bool, seed: int, backend: str = "jax"
) -> np.ndarray:
    """Return the returns of episodes played in gymnax or in Gymnasium, [n], float64.

    Raises:
        ValueError: they do not fit into memory, or Gymnasium has no environment of that name and
            those spaces.
    """
    arguments = config, params, jax.random.key(seed), num_episodes, greedy
    if backend == "gymnasium":
        from purejaxrl_reinforce.evaluation.gymnasium import evaluate_in_gymnasium

        played = evaluate_in_gymnasium(*arguments)
    else:
        compiled = evaluate.lower(*arguments).compile()  # type: ignore[attr-defined]
        require_memory(program_bytes(compiled), "play fewer episodes")
        played = compiled(*arguments[:3])
    return np.asarray(played.episode_return, np.float64)


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


def _show_returns(returns: np.ndarray) -> str:
    mean, bounds = mean_interval(returns), "no interval from one episode"
    if len(returns) > 1:
        bounds = f"95% interval {mean.low:z.1f} to {mean.high:z.1f}"
    return (
        f"mean {mean.value:.1f} ({bounds}), standard deviation {returns.std():.1f},"
        f" min {returns.min():.1f}, max {returns.max():.1f}"
    )
