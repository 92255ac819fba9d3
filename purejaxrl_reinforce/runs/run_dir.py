"""The run directory: configuration, metrics, parameters, plot, log and checkpoints of one run."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import CONFIG_FILE, dump_config, load_run_config
from purejaxrl_reinforce.execution.fingerprint import fingerprint
from purejaxrl_reinforce.execution.machine import in_words, started_on
from purejaxrl_reinforce.figures import drawing
from purejaxrl_reinforce.output import directories, files
from purejaxrl_reinforce.output.sealed import read_sealed, save_arrays, write_sealed
from purejaxrl_reinforce.runs import loggers, metrics_csv
from purejaxrl_reinforce.runs.checkpoint import named_arrays, own_checkpoints, save_checkpoint

if TYPE_CHECKING:
    from purejaxrl_reinforce.algorithm.networks.build import Params

METRICS_FILE = "metrics.csv"
PARAMS_FILE = "params.npz"
REWARDS_FILE = "rewards.npy"
PLOT_FILE = "rewards.png"
LOG_FILE = "run.log"
STARTS_FILE = "machine.json"
FINGERPRINT_FILE = "fingerprint.json"
CHECKPOINTS = "checkpoints"

# All that a run makes in its directory beside its log, with its loggers; and all that is below it
# then, where a checkpoint has the number of its update.
_NAMES = (
    CONFIG_FILE, METRICS_FILE, PARAMS_FILE, REWARDS_FILE, PLOT_FILE, STARTS_FILE, FINGERPRINT_FILE,
    CHECKPOINTS, *loggers.MODULES,
)  # fmt: skip
_PATHS = re.compile(rf"{'|'.join(map(re.escape, (LOG_FILE, *_NAMES)))}|{CHECKPOINTS}/\d{{9,}}\.npz")


class RunDirectory(directories.LockedDirectory):
    """The directory of one run; locked once it is created or opened.

    Attributes:
        path, config, seed, owner: as of a SavedRun.
        metrics: its table.
    """

    def __init__(self, path: Path, config: Config, seed: int, owner: str) -> None:
        super().__init__(path, LOG_FILE, "training")
        self.config, self.seed, self.owner = config, seed, owner
        self.metrics = metrics_csv.MetricsFile(path / METRICS_FILE, owner)

    def create(self, force: bool = False, started: Mapping[str, Any] | None = None) -> None:
        """Make the directory and lock it; write the configuration and an empty table.

        With `force`, an existing run is renamed, until `drop_replaced`. `started` is where it
        was trained, see `started_on`; None: here and now.

        Raises:
            ValueError: it exists and is not an empty directory, or cannot be written.
        """
        try:
            if force:
                self.set_aside(_PATHS, load_run_config)
            require_new(self.path)
            self.lock(_NAMES)
            self._write_facts([started or started_on()])
            self.metrics.start()
        except OSError as error:
            raise ValueError(f"cannot write to {self.path}: {error.strerror}") from None

    def open(self) -> None:
        """Lock an existing run directory, remove unfinished files and take the intact metrics.

        Raises:
            ValueError: another process writes to it, or it cannot be written.
        """
        try:
            self.lock()
            directories.remove_unfinished(self.path / CHECKPOINTS)
            path = self.path / METRICS_FILE
            if path.exists() and not self.metrics.read() and not self.metrics.num_updates:
                raise ValueError(f"{path} belongs to another run, or is damaged in its first row")
        except OSError as error:
            raise ValueError(f"cannot write to {self.path}: {error.strerror}") from None

    def truncate(self, update: int) -> None:
        """Continue after `update`: drop later rows and checkpoints; write the configuration."""
        self.metrics.start(update)
        for later, path in own_checkpoints(self.path / CHECKPOINTS, self.owner).items():
            if later > update:
                path.unlink()
        self._write_facts([*load_starts(self.path, self.owner), started_on()])
        self.log(f"resumed after update {update} of {self.config.num_updates}")

    def _write_facts(self, starts: Sequence[Mapping[str, Any]]) -> None:
        with files.atomic_write(self.path / CONFIG_FILE) as unfinished:
            unfinished.write_text(dump_config(self.config, self.seed, self.owner))
        write_sealed(self.path / STARTS_FILE, starts, self.owner)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Name the directory in errors of a block that writes to it.

        Raises:
            OSError: something cannot be written, or the directory was removed or renamed.
        """
        try:
            if not self.is_in_place():
                raise FileNotFoundError("it was removed or renamed")
            yield
        except OSError as error:
            raise OSError(f"cannot write to {self.path}: {error}") from error

    def save(self, state: TrainState, keep: int) -> None:
        """Write a checkpoint, see `save_checkpoint`, and the rows up to it."""
        files.sync(self.path / METRICS_FILE)
        returns = self.metrics.columns["mean_return"]
        save_checkpoint(self.path / CHECKPOINTS, state, self.owner, returns, keep)

    def write_fingerprint(self, params: Params, update: int) -> None:
        """Write the fingerprint of the parameters after an update, one of the first."""
        with self.writing():
            found = fingerprint(params, update, self.seed)
            write_sealed(self.path / FINGERPRINT_FILE, found, self.owner)

    def write_results(self, params: Params) -> None:
        """Write the parameters, `rewards.npy` (training return per update) and its plot."""
        config, columns = self.config, self.metrics.columns
        title = f"{config.env}: REINFORCE, {config.num_envs:,} lanes, seed {self.seed}"
        with self.writing():
            save_arrays(self.path / PARAMS_FILE, named_arrays(params), self.owner)
            with files.atomic_write(self.path / REWARDS_FILE) as unfinished:
                np.save(unfinished, columns["mean_return"])
            with files.atomic_write(self.path / PLOT_FILE) as unfinished:
                drawing.plot_returns(unfinished, title, config, columns)


def load_starts(run_dir: Path, owner: str) -> list[dict[str, Any]]:
    """Return the record of `started_on` for each start of a run; [] if it is missing or damaged."""
    try:
        starts, found = read_sealed(run_dir / STARTS_FILE)
        list(map(in_words, starts))
    except (ValueError, AttributeError, KeyError, TypeError):
        return []
    return list(starts) if found == owner else []


def require_new(path: Path) -> None:
    """Raise ValueError unless `path` is, or can be made, an empty directory that can be written."""
    existing = files.nearest_existing(path)
    if not existing.is_dir():
        raise ValueError(f"{existing} exists and is not a directory; choose another `run_dir`")
    if existing == path and not directories.is_begun(path, LOG_FILE):
        raise ValueError(f"{path} exists and is not empty; choose another `run_dir`, or `force`")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"{existing} cannot be written to; choose another `run_dir`")
