"""The host loop of one run: metrics, progress, checkpoints and signals between chunks."""

import contextlib
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.execution import processes, signals
from purejaxrl_reinforce.execution.fingerprint import UPDATES
from purejaxrl_reinforce.execution.program import Chunk, NonFiniteError, Program
from purejaxrl_reinforce.runs.loggers import Logger, make_loggers, require_loggers
from purejaxrl_reinforce.runs.reporter import Reporter, ShowChunk, steps_per_second
from purejaxrl_reinforce.runs.run_dir import RunDirectory
from purejaxrl_reinforce.runs.saved_run import SavedRun

# A user's function of the updates done so far, and the columns of metrics.csv of a chunk's updates.
Callback = Callable[[int, dict[str, np.ndarray]], None]


@dataclass(frozen=True)
class RunOptions:
    """Options of a run that do not change its results: checkpoints and loggers.

    Attributes:
        checkpoint_every: updates between checkpoints; None: by time alone.
        checkpoint_seconds: training time between checkpoints.
        keep: number of latest checkpoints to keep; the one with the best training return too.
        loggers: names of loggers, "tensorboard" or "wandb".
        wandb: arguments of `wandb.init`, such as project, group and tags.
        keep_program: whether to keep compiled programs whole, beside jax's cache of them: a later
            run of equal shapes then traces nothing. Environments and networks are taken to be as
            they were in their versions.

    Example:
        >>> from purejaxrl_reinforce import RunOptions
        >>> RunOptions(checkpoint_every=10, keep=1).keep
        1
    """

    checkpoint_every: int | None = None
    checkpoint_seconds: float = 60.0
    keep: int = 3
    loggers: tuple[str, ...] = ()
    wandb: Mapping[str, Any] = field(default_factory=dict)
    keep_program: bool = False

    def __post_init__(self) -> None:
        for name, least in (("checkpoint_every", 1), ("checkpoint_seconds", 0), ("keep", 1)):
            value = getattr(self, name)
            if value is not None and not value >= least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        require_loggers(self.loggers)


class Recorder:
    """Writes and reports a run in its open directory; on the primary process alone.

    Raises:
        ValueError: a logger of `options` cannot start.
    """

    def __init__(
        self,
        run: RunDirectory,
        options: RunOptions,
        loggers: Sequence[Logger],
        reporter: Reporter,
        callback: Callback | None,
    ) -> None:
        self.run, self.options, self._callback = run, options, callback
        self.reporter, self._loggers = Reporter(), list[Logger]()
        if processes.is_primary():
            facts, update = asdict(run.config) | {"seed": run.seed}, run.metrics.num_updates
            own = make_loggers(options.loggers, run.path, facts, update, options.wandb)
            self.reporter, self._loggers = reporter, [*own, *loggers]

    def take(self, chunk: Chunk, show: ShowChunk) -> None:
        """Write, show and log the updates of a chunk."""
        with self.run.writing():
            rows = self.run.metrics.add(chunk.metrics, chunk.seconds)
        if int(chunk.state.update) == UPDATES:
            self.run.write_fingerprint(chunk.state.params, UPDATES)
        show(chunk)
        for row in rows if self._loggers else ():
            metrics = row | {"sps": steps_per_second(chunk)}
            update = int(metrics.pop("update"))
            for logger in self._loggers:
                logger.log(update, metrics)
        if self._callback is not None and rows:
            columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            self._callback(self.run.metrics.num_updates, columns)

    def save(self, state: TrainState) -> None:
        """Write a checkpoint, or warn that it could not be written."""
        try:
            self.run.save(state, self.options.keep)
        except OSError as error:
            self.run.log(f"warning: {error}")
            self.reporter.warn(str(error))

    def write_end(self, state: TrainState) -> dict[str, np.ndarray]:
        """Write the last checkpoint, then the results; return the metrics of all updates.

        Without that checkpoint there are no results: a run that has them could not be resumed.
        """
        with self.run.writing():
            self.run.save(state, self.options.keep)
        if (update := int(state.update)) < UPDATES:
            self.run.write_fingerprint(state.params, update)
        self.run.write_results(state.params)
        return self.run.metrics.columns

    def ended(self, result: SavedRun) -> None:
        """Say that everything is written."""
        how = "ended" if result.signal is None else f"stopped by {result.signal.name}"
        self.run.log(f"{how} after update {result.num_updates}; saved {result.checkpoint.name}")
        self.reporter.ended(result)

    def close(self) -> None:
        """Close all loggers, whatever they raise, and release the directory."""
        with contextlib.ExitStack() as closing:
            closing.callback(self.run.close)
            for logger in self._loggers:
                closing.callback(logger.close)


def host_loop(
    program: Program, state: TrainState, recorder: Recorder, stop: signals.StopRequest
) -> SavedRun:
    """Train from `state` to the last update or a signal, and save everything.

    All processes go through the same loop, but only the first records.

    Raises:
        NonFiniteError: numbers are no longer finite; everything before them is saved.
        OSError: files could not be written; the latest checkpoint stays.
    """
    run = recorder.run
    with contextlib.closing(recorder):
        try:
            state, number, failure = _train(program, state, recorder, stop)
            saved = processes.to_host(state)
            metrics = processes.broadcast_from_primary(lambda: recorder.write_end(saved))
            stopped_by = signal.Signals(number) if number else None
            result = SavedRun(
                run.path, run.config, run.seed, run.owner, stopped_by, program.compile_seconds
            )
            result.metrics = metrics
            if not program.is_kept:  # else they are read as they are asked for
                result.params, result.state = state.params, state
            processes.on_primary(recorder.ended, result)
            if failure is not None:
                raise failure
            return result
        except Exception as error:
            run.log(f"error: {error}")
            raise


def _train(
    program: Program, state: TrainState, recorder: Recorder, stop: signals.StopRequest
) -> tuple[TrainState, int, NonFiniteError | None]:
    """Return the last state, the number of the signal that ended training or 0, and the failure."""
    number, saved_at, options = 0.0, time.monotonic(), recorder.options
    every = options.checkpoint_every
    try:
        with recorder.reporter.training(program.config, state) as show:
            for chunk in program.run(state, every):
                state = chunk.state
                processes.on_primary(recorder.take, chunk, show)
                late = float(time.monotonic() - saved_at >= options.checkpoint_seconds)
                late, number = processes.max_over_processes(late, stop.signal or 0)
                if late or (every is not None and int(state.update) % every == 0):
                    saved_at, saved = time.monotonic(), processes.to_host(state)
                    processes.on_primary(recorder.save, saved)
                if number:
                    break
    except NonFiniteError as error:
        return state, 0, error
    return state, int(number), None
