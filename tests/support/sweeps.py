"""Sweeps for tests: a tiny one that is trained, and results that are made up."""

from pathlib import Path

import jax
import numpy as np

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.sweeps.results import SweepResults, load_sweep

# With one lane a run has one device, like an agent of a sweep, on any machine.
OPTIONS = ["--num-envs", "1", "--num-steps", "30", "--num-updates", "4"]
# Equal slices and numbers of episodes: sweeps of one static setting share compiled programs.
TRAINING = ["sweep", *OPTIONS, "--slice-size", "2", "--num-episodes", "5"]
# Two seeds of one setting.
TINY = [*TRAINING, "--hidden-sizes", "8", "--num-seeds", "2"]
# Four settings, of which the last two diverge, with the seeds 5, 6 and 7.
GRID = [
    *TRAINING, "--axis", "policy_lr=0.01,1e38", "--axis", "hidden_sizes=[8],[8,8]",
    "--num-seeds", "3", "--seed", "5",
]  # fmt: skip


def sweep_into(path: Path, arguments: list[str], *more: str) -> Path:
    """Sweep into `path` through the command line; return it."""
    assert main([*arguments, "--quiet", "--sweep-dir", str(path), *more]) == 0
    return path


def slices_of(path: Path) -> list[Path]:
    """Return the files of a sweep's finished agents."""
    return sorted((path / "slices").glob("[0-9]*.npz"))


def assert_same_results(path: Path, other: Path) -> None:
    """Compare the results of two sweeps bit by bit."""
    a, b = load_sweep(path), load_sweep(other)
    jax.tree.map(np.testing.assert_array_equal, a.metrics, b.metrics)
    np.testing.assert_array_equal(a.evaluation, b.evaluation)


def made_up(axes, configs: list[Config], evaluation, returns, steps) -> SweepResults:
    """Return results of agents none of which diverged.

    Args:
        axes: of the sweep.
        configs: of its settings.
        evaluation: returns, [setting, seed, episode].
        returns: mean returns in training, of a shape that fits [setting, seed, update].
        steps: environment steps so far, likewise.
    """
    num_updates = max(config.num_updates for config in configs)
    shape = (*np.shape(evaluation)[:2], num_updates)
    own = np.arange(num_updates) < np.array([[[config.num_updates]] for config in configs])
    own = np.broadcast_to(own, shape)
    returns = np.where(own, returns, np.nan).astype(np.float32)
    metrics = {
        "mean_return": returns,
        "min_return": returns - 10,
        "max_return": returns + 10,
        "eval_return": np.full(shape, np.nan, np.float32),
        "num_steps": own.astype(np.int32),
        "env_steps": np.where(own, steps, 0).astype(np.int64),
        "finite": own.copy(),
    }
    keys = np.zeros((shape[1], 2), np.uint32)
    returns, seconds = np.asarray(evaluation, np.float32), np.ones(shape[:2])
    updates = own.sum(axis=2)
    plan = tuple(axes), tuple(configs), keys, returns.shape[2], updates, None
    return SweepResults(*plan, metrics, returns, seconds, updates, Path("nowhere"))
