"""The result of a run."""

import signal
from pathlib import Path
from typing import NamedTuple

import numpy as np

from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config


class RunResult(NamedTuple):
    """What `train_run` and `resume_run` return, the same on all processes.

    Attributes:
        path: of the run directory.
        config: what was trained.
        seed: of all randomness.
        metrics: of all updates so far, by column of metrics.csv, each float64 [num_updates].
        state: after the last update, on the devices that trained it.
        signal: SIGINT or SIGTERM where one ended training early, None where it finished.
        checkpoint: path of the last checkpoint, which holds `state`.
        compile_seconds: what tracing and compiling took.
    """

    path: Path
    config: Config
    seed: int
    metrics: dict[str, np.ndarray]
    state: TrainState
    signal: signal.Signals | None
    checkpoint: Path
    compile_seconds: float

    @property
    def params(self) -> Params:
        """Parameters of both networks after the last update."""
        return self.state.params

    @property
    def num_updates(self) -> int:
        """Updates so far."""
        return len(self.metrics["update"])

    @property
    def seconds(self) -> float:
        """Training time so far, compilation apart."""
        return float(self.metrics["seconds"][-1]) if self.num_updates else 0.0
