"""The host loop of one run: metrics, progress, checkpoints and signals between chunks."""

import functools
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.execution.processes import (
    PeerLostError,
    broadcast_from_primary,
    max_over_processes,
    run_on_primary,
    to_host,
)
from purejaxrl_reinforce.execution.program import Chunk, NonFiniteError, Program
from purejaxrl_reinforce.execution.signals import StopRequest, stop_signal
from purejaxrl_reinforce.runs.checkpoint import CheckpointError, CheckpointWriter
from purejaxrl_reinforce.runs.loggers import Logger, make_loggers, require_loggers
from purejaxrl_reinforce.runs.reporter import Reporter, ShowChunk, steps_per_second
from purejaxrl_reinforce.runs.result import RunResult
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS, RunDirectory

# A user's function of the updates done so far, and the columns of metrics.csv of a chunk's updates.
Callback = Callable[[int, dict[str, np.ndarray]], None]


@dataclass(frozen=True)
class Hosting:
    """Options of a run that do not change its results.

    Attributes:
        checkpoint_every: updates between checkpoints; None: by time alone.
        checkpoint_seconds: training time between checkpoints.
        keep: number of latest checkpoints to keep; the one with the best training return too.
        loggers: names of loggers, "tensorboard" or "wandb".
        wandb: arguments of `wandb.init`, such as project, group and tags.
    """

    checkpoint_every: int | None = None
    checkpoint_seconds: float = 60.0
    keep: int = 3
    loggers: tuple[str, ...] = ()
    wandb: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise ValueError(f"checkpoint_every must be at least 1, not {self.checkpoint_every}")
        if not self.checkpoint_seconds >= 0:
            raise ValueError(
                f"checkpoint_seconds must be at least 0, not {self.checkpoint_seconds}"
            )
        if self.keep < 1:
            raise ValueError(f"keep must be at least 1, not {self.keep}")
        require_loggers(self.loggers)


class HostLoop:
    """The host loop of one run, up to its last file.

    With several processes all go through the same loop, but only the first writes and reports.
    """

    def __init__(
        self,
        run: RunDirectory,
        program: Program,
        hosting: Hosting,
        loggers: Sequence[Logger],
        reporter: Reporter,
        stop: StopRequest,
        callback: Callback | None = None,
    ) -> None:
        self._callback = callback
        self._run, self._program, self._hosting = run, program, hosting
        self._reporter, self._stop = reporter, stop
        facts, update = asdict(run.config) | {"seed": run.seed}, run.metrics.num_updates
        self._loggers = [
            *make_loggers(hosting.loggers, run.path, facts, update, hosting.wandb),
            *loggers,
        ]
        self._checkpoints = CheckpointWriter(
            run.path / CHECKPOINTS, run.config, run.seed, hosting.keep
        )
        self._saved_at = time.monotonic()

    def train(self, state: TrainState) -> RunResult:
        """Train from `state` to the last update or a signal, and save everything.

        Raises:
            NonFiniteError: numbers are no longer finite; everything before them is saved.
            OSError: files could not be written; the latest checkpoint stays.
        """
        try:
            state, failure = self._loop(state)
            result = self._finish(state)
        except (PeerLostError, BrokenPipeError) as error:  # the latter of standard output
            self._run.log(f"error: {error}")
            raise
        except OSError as error:  # such as a full disk
            message = f"cannot write to {self._run.path}: {error}"
            self._run.log(f"error: {message}")
            raise OSError(message) from error
        finally:
            self._checkpoints.close()
            for logger in self._loggers:
                logger.close()
        if failure is not None:
            raise failure
        return result

    def _loop(self, state: TrainState) -> tuple[TrainState, NonFiniteError | None]:
        every = self._hosting.checkpoint_every
        try:
            with self._reporter.training(self._program.config, state) as show:
                for chunk in self._program.run(state, every):
                    state = chunk.state
                    run_on_primary(functools.partial(self._take, chunk, show))
                    if self._is_due(state):
                        run_on_primary(functools.partial(self._save, to_host(state)))
                    if stop_signal(self._stop) is not None:
                        break
        except NonFiniteError as error:
            self._run.log(f"error: {error}")
            return state, error
        return state, None

    def _take(self, chunk: Chunk, show: ShowChunk) -> None:
        self._run.require_in_place()
        rows = self._run.metrics.add(chunk.metrics, chunk.seconds)
        show(chunk)
        for row in rows if self._loggers else ():
            metrics = row | {"sps": steps_per_second(chunk)}
            update = int(metrics.pop("update"))
            for logger in self._loggers:
                logger.log(update, metrics)
        if self._callback is not None and rows:
            columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            self._callback(self._run.metrics.num_updates, columns)

    def _is_due(self, state: TrainState) -> bool:
        """Return whether it is time for a checkpoint; all processes agree on it."""
        every = self._hosting.checkpoint_every
        now = time.monotonic()
        (late,) = max_over_processes(now - self._saved_at >= self._hosting.checkpoint_seconds)
        due = bool(late) or (every is not None and int(state.update) % every == 0)
        if due:
            self._saved_at = now
        return due

    def _save(self, state: TrainState) -> None:
        """Begin to write a checkpoint; warn if the one before it could not be written."""
        try:
            self._checkpoints.wait()
        except CheckpointError as error:
            self._run.log(f"warning: {error}")
            self._reporter.warn(str(error))
        metrics = self._run.metrics
        metrics.sync()  # a checkpoint needs the rows up to it
        mean_return = metrics.last_row.get("mean_return", math.nan)
        self._checkpoint = self._checkpoints.save(state, metrics.seconds, mean_return)

    def _finish(self, state: TrainState) -> RunResult:
        saved = to_host(state)
        metrics, checkpoint = broadcast_from_primary(lambda: self._write_end(saved))
        number = stop_signal(self._stop)
        result = RunResult(
            self._run.path,
            self._run.config,
            self._run.seed,
            metrics,
            state,
            None if number is None else signal.Signals(number),
            Path(checkpoint),
            self._program.compile_seconds,
        )
        run_on_primary(lambda: self._report_end(result))
        return result

    def _write_end(self, state: TrainState) -> tuple[dict[str, np.ndarray], str]:
        self._run.require_in_place()
        self._save(state)
        self._run.write_results(state.params)
        self._checkpoints.wait()
        return self._run.metrics.columns, str(self._checkpoint)

    def _report_end(self, result: RunResult) -> None:
        how = "ended" if result.signal is None else f"stopped by {result.signal.name}"
        self._run.log(f"{how} after update {result.num_updates}; saved {result.checkpoint.name}")
        self._reporter.ended(result)
