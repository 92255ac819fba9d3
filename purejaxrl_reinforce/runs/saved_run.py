"""A run as an object: everything that is in its directory, read when it is asked for."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from signal import Signals
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import CONFIG_FILE, load_run_config
from purejaxrl_reinforce.output import files, sealed
from purejaxrl_reinforce.runs import checkpoint, metrics_csv
from purejaxrl_reinforce.runs.run_dir import (
    CHECKPOINTS,
    FINGERPRINT_FILE,
    METRICS_FILE,
    PARAMS_FILE,
)

if TYPE_CHECKING:
    from purejaxrl_reinforce.algorithm.networks.build import Params


@dataclass
class SavedRun:
    """A run on disk: of `load_run`, `train_run` or `resume_run`, of these on all processes.

    Arrays are read, and verified, at their first use, where training does not leave them here.

    Attributes:
        path: of the run directory.
        config: of the training.
        seed: of all randomness.
        owner: the run's identity, which all its files carry.
        signal: SIGINT or SIGTERM where one ended this training early, else None.
        compile_seconds: of tracing and compiling in this training, else None.

    Example:
        >>> from purejaxrl_reinforce import load_run
        >>> load_run("runs/tiny").metrics["mean_return"].shape
        (3,)
    """

    path: Path
    config: Config
    seed: int
    owner: str = field(repr=False)
    signal: Signals | None = None
    compile_seconds: float | None = None

    def __fspath__(self) -> str:
        return str(self.path)

    @cached_property
    def metrics(self) -> dict[str, np.ndarray]:
        """Metrics by column of metrics.csv, each float64 [num_updates].

        Raises:
            ValueError: they are missing, damaged, another run's or empty.
        """
        path = self.path / METRICS_FILE
        saved = max(checkpoint.own_checkpoints(self.path / CHECKPOINTS, self.owner), default=0)
        file = metrics_csv.MetricsFile(path, self.owner)
        if not file.read():  # later than `saved`: the run may be going on
            found = f"after update {file.num_updates}, or belongs to another run"
            raise ValueError(f"{path} is damaged {found}")
        if file.num_updates < saved:
            raise ValueError(f"{path} is damaged: it ends before update {saved}")
        if not file.num_updates:
            raise ValueError(f"{path} has no update yet")
        return file.columns

    @cached_property
    def params(self) -> Params:
        """Trained parameters of both networks, NumPy arrays.

        Raises:
            ValueError: the run has none yet, or they are damaged or another run's.
        """
        from purejaxrl_reinforce.algorithm.reinforce import state_shapes

        path = self.path / PARAMS_FILE
        if not path.exists():
            remedy = "; train --resume finishes it" if (self.path / CHECKPOINTS).is_dir() else ""
            raise ValueError(f"{self.path} holds no trained parameters ({path.name}){remedy}")
        arrays = sealed.load_arrays(path, self.owner)
        try:
            params: Params = checkpoint.restore_tree(arrays, state_shapes(self.config).params)
        except ValueError as error:
            message = f"{path} does not fit the networks of {CONFIG_FILE}: {error}"
            raise ValueError(message) from None
        if not all(np.isfinite(x).all() for x in jax.tree.leaves(params)):
            raise ValueError(f"{path} is damaged: it holds numbers that are not finite")
        return params

    @cached_property
    def state(self) -> TrainState:
        """Training state of the latest intact checkpoint, to continue with `step`.

        Raises:
            ValueError: there is no checkpoint, or none is intact.
        """
        state, _ = checkpoint.load_latest(self.path / CHECKPOINTS, self.config, self.owner)
        if state is None:
            raise ValueError(f"{self.path} has no checkpoint yet")
        return state._replace(key=jax.random.wrap_key_data(state.key))

    def checkpoints(self) -> list[TrainState]:
        """Return the states of all intact checkpoints, the first update first; keys as their data.

        Raises:
            ValueError: there is none.
        """
        states = []
        for path in checkpoint.own_checkpoints(self.path / CHECKPOINTS, self.owner).values():
            with contextlib.suppress(ValueError):
                states.append(checkpoint.load_checkpoint(path, self.config, self.owner)[0])
        if not states:
            raise ValueError(f"{self.path} holds no intact checkpoint")
        return states

    @property
    def fingerprint(self) -> dict[str, Any] | None:
        """SHA-256 of the parameters after the tenth update, or the last of fewer, and some of them.

        None where it is missing or damaged.
        """
        with contextlib.suppress(ValueError):
            found, owner = sealed.read_sealed(self.path / FINGERPRINT_FILE)
            return dict(found) if owner == self.owner else None
        return None

    @property
    def checkpoint(self) -> Path:
        """Path of the checkpoint after the last update."""
        return checkpoint.checkpoint_path(self.path / CHECKPOINTS, self.num_updates)

    @property
    def num_updates(self) -> int:
        """Updates so far."""
        return len(self.metrics["update"])

    @property
    def seconds(self) -> float:
        """Training time so far, excluding compilation."""
        return float(self.metrics["seconds"][-1]) if self.num_updates else 0.0


def load_run(path: files.StrPath) -> SavedRun:
    """Return the run in a directory, whose configuration and identity alone are read at once.

    Raises:
        ValueError: it is no run directory, or its configuration is damaged.

    Example:
        >>> from purejaxrl_reinforce import load_run
        >>> load_run("runs/tiny").seed  # of the example of train_run
        0
    """
    return SavedRun(Path(path), *load_run_config(Path(path)))
