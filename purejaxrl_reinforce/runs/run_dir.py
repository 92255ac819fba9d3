"""The run directory: what training leaves behind, and reading it back."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from purejaxrl_reinforce.algorithm.networks import Params
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import CONFIG_FILE, dump_config
from purejaxrl_reinforce.output.files import UNFINISHED, LockedLog, atomic_write, nearest_existing
from purejaxrl_reinforce.output.plots import plot_returns
from purejaxrl_reinforce.runs.metrics_csv import MetricsFile

METRICS_FILE = "metrics.csv"

PARAMS_FILE = "params.npz"

REWARDS_FILE = "rewards.npy"

PLOT_FILE = "rewards.png"

LOG_FILE = "run.log"

CHECKPOINTS = "checkpoints"


class RunWriter:
    """Writes one run's directory: the configuration at once, metrics as they come, then the rest.

    While it is open no other process can write to that directory.

    Attributes:
        path: the directory.
        seed: of the run.
        metrics: its table.
    """

    def __init__(self, path: Path, config: Config, seed: int) -> None:
        self.path = path
        self.metrics = MetricsFile(path / METRICS_FILE)
        self.seed = seed
        self._config = config
        self._made: list[Path] = []
        self._log: LockedLog | None = None

    def create(self) -> None:
        """Make the directory.

        Raises:
            ValueError: it exists and is not an empty directory, or cannot be written.
        """
        require_new(self.path)
        self._made = [p for p in (self.path, *self.path.parents) if not p.exists()]
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock()
            self.write_config()
            self.metrics.create()
        except OSError as error:
            self.discard()
            raise ValueError(f"cannot write to {self.path}: {error.strerror}") from None

    def reopen(self) -> None:
        """Take hold of a directory that a run has left, and remove what is half-written there.

        Raises:
            ValueError: another process writes to it, or it cannot be written.
        """
        try:
            self._lock()
            for left in self.path.glob(UNFINISHED + "*"):
                left.unlink()
        except OSError as error:
            raise ValueError(f"cannot write to {self.path}: {error.strerror}") from None

    def write_config(self) -> None:
        """Write the configuration and the seed."""
        with atomic_write(self.path / CONFIG_FILE) as unfinished:
            unfinished.write_text(dump_config(self._config, self.seed))

    def log(self, message: str) -> None:
        """Append a line to the run's log; on a full disk it is lost."""
        assert self._log is not None
        self._log.write(message)

    def discard(self) -> None:
        """Remove all that is in the directory, and what `create` made of it and its parents."""
        self.close()
        with contextlib.suppress(OSError):
            for path in self.path.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in self._made:
            with contextlib.suppress(OSError):
                path.rmdir()

    @property
    def mean_returns(self) -> list[float]:
        """Mean episode return of each update so far."""
        return [mean for mean, _, _ in self.metrics.returns]

    def finish(self, params: Params) -> None:
        """Write the parameters, `rewards.npy` (mean return per update) and its plot."""
        save_params(self.path / PARAMS_FILE, params)
        with atomic_write(self.path / REWARDS_FILE) as unfinished:
            np.save(unfinished, np.asarray(self.mean_returns))
        with atomic_write(self.path / PLOT_FILE) as unfinished:
            plot_returns(unfinished, self._title(), np.asarray(self.metrics.returns))

    def close(self) -> None:
        """Let go of the directory."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def _lock(self) -> None:
        try:
            self._log = LockedLog(self.path / LOG_FILE)
        except BlockingIOError:
            raise ValueError(f"another process is training in {self.path}") from None

    def _title(self) -> str:
        config = self._config
        unit = (
            "episodes" if config.rollout == "episodes" else f"lanes of {config.num_steps:,} steps"
        )
        lanes = f"{config.num_envs:,} {unit} per update"
        return f"{config.env}: REINFORCE, {lanes}, seed {self.seed}"


def require_new(path: Path) -> None:
    """Raise ValueError unless a run can be written to `path` without touching anything."""
    existing = nearest_existing(path)
    if not existing.is_dir():
        raise ValueError(f"{existing} exists and is not a directory; choose another --run-dir")
    if existing == path and any(path.iterdir()):
        raise ValueError(f"{path} exists and is not empty; choose another --run-dir")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} cannot be written to; choose another --run-dir")


def save_params(path: Path, params: Params) -> None:
    """Write parameters as `.npz`, named like `policy/params/mlp/hidden_0/kernel`."""
    tree = {name: network for name, network in params._asdict().items() if network is not None}
    flat = flatten_dict(tree, sep="/")
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in flat.items()}
    with atomic_write(path) as unfinished:
        np.savez(unfinished, **arrays)
