"""The host loop of one run: metrics, progress, checkpoints and signals between chunks."""

import functools
import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.execution.processes import LostProcessError, agree_max, is_first, on_first
from purejaxrl_reinforce.execution.program import Chunk, NonFiniteError, Program
from purejaxrl_reinforce.execution.sharding import replicate_state
from purejaxrl_reinforce.execution.signals import StopRequest, agreed_signal
from purejaxrl_reinforce.output.extras import require_extra
from purejaxrl_reinforce.runs.checkpoint import CheckpointError, CheckpointWriter
from purejaxrl_reinforce.runs.loggers import MODULES, Logger, make_loggers
from purejaxrl_reinforce.runs.progress import Show, progress, sps
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS, RunWriter


@dataclass(frozen=True)
class Hosting:
    """What the host does beside training.

    Attributes:
        checkpoint_every: updates between checkpoints; None: by time alone.
        checkpoint_seconds: training time between checkpoints.
        keep: checkpoints to keep, the latest; that with the best mean return stays as well.
        loggers: names of loggers, "tensorboard" or "wandb".
        quiet: whether to print nothing but errors and warnings.
    """

    checkpoint_every: int | None = None
    checkpoint_seconds: float = 60.0
    keep: int = 3
    loggers: tuple[str, ...] = ()
    quiet: bool = False

    def __post_init__(self) -> None:
        if self.checkpoint_every is not None and self.checkpoint_every < 1:
            raise ValueError(f"checkpoint_every must be at least 1, not {self.checkpoint_every}")
        if not self.checkpoint_seconds >= 0:
            raise ValueError(
                f"checkpoint_seconds must be at least 0, not {self.checkpoint_seconds}"
            )
        if self.keep < 1:
            raise ValueError(f"keep must be at least 1, not {self.keep}")
        for name in self.loggers:
            require_extra(name, MODULES[name])


def _warn(writer: RunWriter, message: str) -> None:
    writer.log(f"warning: {message}")
    print(f"warning: {message}", file=sys.stderr)


class HostLoop:
    """The host loop of one run and what comes after it.

    With several processes all go through the same loop, but only the first writes and prints.
    """

    def __init__(
        self,
        writer: RunWriter,
        program: Program,
        hosting: Hosting,
        loggers: Sequence[Logger],
        stop: StopRequest,
    ) -> None:
        config, seed = program.config, writer.seed
        self._writer, self._program, self._hosting, self._stop = writer, program, hosting, stop
        directory = writer.path / CHECKPOINTS
        self._checkpoints = CheckpointWriter(directory, config, seed, hosting.keep)
        update = len(writer.metrics.returns)
        self._loggers = [
            *make_loggers(hosting.loggers, writer.path, config, seed, update),
            *loggers,
        ]
        self._saved_at = time.monotonic()

    def train(self, state: TrainState) -> int:
        """Train from `state` to the last update, or until something stops it; see `train_run`."""
        self._stop.deferred = True
        try:
            state, exit_code = self._loop(state)
            self._finish(state)
        except LostProcessError as error:
            if is_first():
                self._writer.log(f"error: {error}")
            raise
        except BrokenPipeError:  # of standard output, whose reader has gone
            raise
        except OSError as error:  # such as a full disk
            exit_code = self._fail(f"cannot write to {self._writer.path}: {error}")
        finally:
            self._checkpoints.close()
            for logger in self._loggers:
                logger.close()
        number = agreed_signal(self._stop)
        return exit_code or (0 if number is None else 128 + number)

    def _loop(self, state: TrainState) -> tuple[TrainState, int]:
        every = self._hosting.checkpoint_every
        try:
            with progress(self._program.config.num_updates, state, self._hosting.quiet) as show:
                for chunk in self._program.run(state, every):
                    state = chunk.state
                    on_first(functools.partial(self._take, chunk, show))
                    if self._is_due(state):
                        saved = replicate_state(state, self._program.mesh)
                        on_first(functools.partial(self._save_or_warn, saved))
                    if agreed_signal(self._stop) is not None:
                        break
        except NonFiniteError as error:
            message = f"{error}; kept the parameters from before it"
            if is_first():
                self._fail(message)
            return state, 1
        return state, 0

    def _take(self, chunk: Chunk, show: Show) -> None:
        self._writer.metrics.add(chunk.metrics, chunk.seconds)
        show(chunk)
        self._log(chunk)

    def _log(self, chunk: Chunk) -> None:
        if self._loggers and len(chunk.metrics.num_steps):
            row = self._writer.metrics.last_row | {"sps": sps(chunk)}
            update = int(row.pop("update"))
            for logger in self._loggers:
                logger.log(update, row)

    def _is_due(self, state: TrainState) -> bool:
        """Return whether it is time for a checkpoint; all processes agree on it."""
        every = self._hosting.checkpoint_every
        now = time.monotonic()
        (late,) = agree_max(now - self._saved_at >= self._hosting.checkpoint_seconds)
        due = bool(late) or (every is not None and int(state.update) % every == 0)
        if due:
            self._saved_at = now
        return due

    def _save_or_warn(self, state: TrainState) -> None:
        try:
            self._save(state)
        except CheckpointError as error:
            _warn(self._writer, f"no checkpoint after update {int(state.update)}: {error}")

    def _save(self, state: TrainState) -> Path:
        metrics = self._writer.metrics
        mean_return = metrics.returns[-1][0] if metrics.returns else math.nan
        return self._checkpoints.save(state, metrics.seconds, mean_return)

    def _finish(self, state: TrainState) -> None:
        saved, number = replicate_state(state, self._program.mesh), agreed_signal(self._stop)
        on_first(lambda: self._write_end(saved, number))

    def _write_end(self, state: TrainState, number: int | None) -> None:
        path = self._save(state)
        self._writer.finish(state.params)
        self._checkpoints.wait()
        self._say_end(path, number)

    def _say_end(self, checkpoint: Path, number: int | None) -> None:
        update = len(self._writer.metrics.returns)
        if number is not None:
            name = signal.Signals(number).name
            self._writer.log(f"stopped by {name} after update {update}; saved {checkpoint.name}")
            print(
                f"interrupted by {name} after update {update}; saved {checkpoint};"
                f" go on with: purejaxrl-reinforce train --resume {self._writer.path}",
                file=sys.stderr,
            )
        else:
            self._writer.log(f"ended after update {update}; saved {checkpoint.name}")
        if not self._hosting.quiet:
            print_summary(self._writer, self._program.compile_seconds)

    def _fail(self, message: str) -> int:
        self._writer.log(f"error: {message}")
        print(f"error: {message}", file=sys.stderr)
        return 1


def print_summary(writer: RunWriter, compile_seconds: float) -> None:
    """Print what a run reached, how fast, and what its directory holds."""
    returns, seconds = np.asarray(writer.mean_returns), max(writer.metrics.seconds, 1e-9)
    if np.isfinite(returns).any():
        print(
            f"mean return: {returns[-1]:.1f} in the last update,"
            f" {np.nanmax(returns):.1f} in the best (update {np.nanargmax(returns) + 1})"
        )
    else:
        print("mean return: unknown, no episode finished")
    env_steps = writer.metrics.env_steps
    print(
        f"{len(returns):,} updates, {env_steps:,} environment steps in {seconds:.1f} s:"
        f" {env_steps / seconds:,.0f} SPS; compiled in {compile_seconds:.1f} s"
    )
    files = ", ".join(sorted(path.name for path in writer.path.iterdir()))
    print(f"{writer.path}: {files}")
