"""A run directory as an object: everything that is in it, read when it is asked for."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import load_run_config
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.runs.checkpoint import load_latest
from purejaxrl_reinforce.runs.load import load_history, load_policy
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS


@dataclass(frozen=True)
class SavedRun:
    """A run on disk. Arrays are read, and verified, at their first use.

    Attributes:
        path: of the run directory.
        config: what was trained.
        seed: of all randomness.
    """

    path: Path
    config: Config
    seed: int

    @cached_property
    def params(self) -> Params:
        """Trained parameters of both networks, NumPy arrays.

        Raises:
            ValueError: the run has none yet, or they are damaged.
        """
        return load_policy(self.path)[1]

    @cached_property
    def metrics(self) -> dict[str, np.ndarray]:
        """Metrics by column of metrics.csv, each float64 [num_updates].

        Raises:
            ValueError: they are missing, damaged or empty.
        """
        return load_history(self.path).metrics

    @cached_property
    def state(self) -> TrainState:
        """Training state of the latest intact checkpoint, to go on with `step`.

        Raises:
            ValueError: there is no checkpoint, none is intact, or one is of another run.
        """
        checkpoint, _ = load_latest(self.path / CHECKPOINTS, self.config, self.seed)
        if checkpoint is None:
            raise ValueError(f"{self.path} has no checkpoint yet")
        state = checkpoint.state
        return state._replace(key=jax.random.wrap_key_data(state.key))


def load_run(path: StrPath) -> SavedRun:
    """Return the run in a directory, whose configuration and seed alone are read at once.

    Raises:
        ValueError: it is no run directory, or its configuration is damaged.
    """
    config, seed, _ = load_run_config(Path(path))
    return SavedRun(Path(path), config, seed)
