"""A run from its directory's first file to its last: everything that training does on the host."""

import contextlib
import dataclasses
import functools
import math
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np

from purejaxrl_reinforce import environment
from purejaxrl_reinforce.checkpoint import (
    CheckpointError,
    CheckpointWriter,
    load_latest,
    tidy,
)
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.extras import require_extra
from purejaxrl_reinforce.interruption import StopRequest, agreed_signal, end_if_asked_to
from purejaxrl_reinforce.loggers import MODULES, Logger, make_loggers
from purejaxrl_reinforce.memory import require_batch_memory, require_memory
from purejaxrl_reinforce.processes import (
    LostProcessError,
    agree_max,
    agreed,
    from_first,
    is_alone,
    is_first,
    on_first,
    to_host,
    to_local,
)
from purejaxrl_reinforce.progress import Show, progress, sps
from purejaxrl_reinforce.results import CHECKPOINTS, RunWriter
from purejaxrl_reinforce.runner import Chunk, NonFiniteError, Program
from purejaxrl_reinforce.sharding import place, whole
from purejaxrl_reinforce.state import TrainState


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


def train_run(
    config: Config,
    seed: int,
    run_dir: Path,
    hosting: Hosting = Hosting(),
    loggers: Sequence[Logger] = (),
) -> int:
    """Train from scratch into a new run directory.

    Args:
        config: what to train.
        seed: of all randomness.
        run_dir: new or empty.
        hosting: what the host does beside it.
        loggers: places for metrics beside those of `hosting`; closed at the end.

    Returns:
        The exit code: 0; 1 where numbers stopped being finite or files could not be written; 128
        plus the signal's number after SIGINT or SIGTERM, when the state at that point is saved.

    Raises:
        ValueError: the input is bad; nothing was written.
        Interrupted: a signal came before the first update; nothing was written.
    """
    hosting = _here(hosting)
    writer = agreed(lambda: _writer_for(config, seed, run_dir))
    with StopRequest() as stop:
        stop.deferred = not is_alone()
        on_first(writer.create)
        try:
            program = agreed(lambda: _compile(config, seed, hosting.quiet, "compiling"))
            loop = agreed(lambda: HostLoop(writer, program, hosting, loggers, stop))
            end_if_asked_to(stop)
        except BaseException:
            if is_first():
                writer.discard()
            raise
        with contextlib.closing(writer):
            on_first(lambda: writer.log(f"started: {config.num_updates} updates, seed {seed}"))
            return loop.train(program.state)


def resume_run(
    config: Config,
    seed: int,
    run_dir: Path,
    hosting: Hosting = Hosting(),
    loggers: Sequence[Logger] = (),
) -> int:
    """Train on from the latest checkpoint of a run directory, or from scratch if it has none.

    Args:
        config: the run's own; `num_updates` may be another than before.
        seed: the run's own.
        run_dir: of the run.
        hosting: what the host does beside training.
        loggers: places for metrics beside those of `hosting`; closed at the end.

    Returns:
        The exit code, as of `train_run`.

    Raises:
        ValueError: another process trains there; no checkpoint is whole, or one is of another
            configuration or format; or the run has more than `config.num_updates` updates.
        Interrupted: a signal came before the first update; everything is as it was.
    """
    hosting = _here(hosting)
    writer = agreed(lambda: _writer_for(config, seed, run_dir))
    with StopRequest() as stop, contextlib.closing(writer):
        stop.deferred = not is_alone()
        on_first(writer.reopen)
        doing = f"resuming {run_dir}; compiling"
        program = agreed(lambda: _compile(config, seed, hosting.quiet, doing))
        end_if_asked_to(stop)
        state = _restore(writer, program)
        if not hosting.quiet:
            print(f"going on after update {int(state.update):,}", flush=True)
        loop = agreed(lambda: HostLoop(writer, program, hosting, loggers, stop))
        return loop.train(state)


def _here(hosting: Hosting) -> Hosting:
    """Return `hosting` as it is for this process: all but the first do nothing beside training."""
    return hosting if is_first() else dataclasses.replace(hosting, loggers=(), quiet=True)


def _writer_for(config: Config, seed: int, run_dir: Path) -> RunWriter:
    environment.make(config.env)
    require_batch_memory(config)
    return RunWriter(run_dir, config, seed)


def _compile(config: Config, seed: int, quiet: bool, doing: str) -> Program:
    if not quiet:
        print(
            f"{config.env} on {jax.default_backend()}: {config.num_envs:,} lanes,"
            f" {config.num_updates:,} updates, seed {seed}; {doing}",
            flush=True,
        )
    program = Program(config, jax.random.key(seed))
    require_memory(program.memory_bytes, f"try less than num_envs={config.num_envs}")
    return program


def _restore(writer: RunWriter, program: Program) -> TrainState:
    if is_alone():
        return _restored(writer, program.config, program.state)
    # The first process reads, so that the others need not see its files.
    initial = to_local(to_host(program.state), program.state)
    host = from_first(lambda: to_host(_restored(writer, program.config, initial)))
    return place(to_local(host, initial), program.mesh)


def _restored(writer: RunWriter, config: Config, initial: TrainState) -> TrainState:
    """Return the state to go on from, placed like `initial`, and cut the run's files to it."""
    directory = writer.path / CHECKPOINTS
    checkpoint, passed = load_latest(directory, config, writer.seed, initial)
    for line in passed:
        _warn(writer, line)
    state = initial if checkpoint is None else checkpoint.state
    update = int(state.update)
    if update > config.num_updates:
        raise ValueError(
            f"{writer.path} has {update} updates already, more than"
            f" num_updates={config.num_updates}"
        )
    writer.metrics.cut(update)
    tidy(directory, update)
    writer.write_config()
    writer.log(f"resumed after update {update} of {config.num_updates}")
    return state


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
                        saved = whole(state, self._program.mesh)
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
        saved, number = whole(state, self._program.mesh), agreed_signal(self._stop)
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
