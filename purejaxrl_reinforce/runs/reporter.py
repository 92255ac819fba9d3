"""Reporters, which show the progress of a run; by default they show nothing."""

import contextlib
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.state import TrainState, exact_steps
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.program import Chunk
from purejaxrl_reinforce.output.progress import Board
from purejaxrl_reinforce.runs.saved_run import SavedRun
from purejaxrl_reinforce.tasks import first_solved, threshold

ShowChunk = Callable[[Chunk], None]


class Reporter:
    """Shows nothing; a subclass shows what it overrides. Only the first process calls it.

    Example:
        >>> from purejaxrl_reinforce import Reporter
        >>> class Ended(Reporter):
        ...    def ended(self, result):
        ...        print(result.path, "ended")
    """

    @contextlib.contextmanager
    def compiling(self, _config: Config, _seed: int, _resumed: Path | None) -> Iterator[None]:
        """While the program is compiled, to resume a run directory if one is given."""
        yield

    @contextlib.contextmanager
    def training(self, _config: Config, _state: TrainState) -> Iterator[ShowChunk]:
        """Training starts from this state; the function is called after each chunk."""
        yield lambda _chunk: None

    def warn(self, message: str) -> None:
        """Something failed, but training continues."""
        warnings.warn(message, RuntimeWarning, stacklevel=2)

    def ended(self, result: SavedRun) -> None:
        """Training has ended, and everything is saved."""


class TerminalReporter(Reporter):
    """Shows progress and a summary on the terminal.

    Args:
        quiet: show only warnings, and where an interrupted run can be resumed.

    Example:
        >>> from purejaxrl_reinforce import Config, TerminalReporter, train_run
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3)
        >>> run = train_run(config, 0, "runs/quiet", reporter=TerminalReporter(quiet=True))
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet

    @contextlib.contextmanager
    def compiling(self, config: Config, seed: int, resumed: Path | None) -> Iterator[None]:
        doing = "compiling" if resumed is None else f"resuming {resumed}; compiling"
        self._print(
            f"{config.env} on {jax.default_backend()}: {config.num_envs:,} lanes,"
            f" {config.num_updates:,} updates, seed {seed}; {doing}"
        )
        with Board("compiling", quiet=self._quiet, transient=True):
            yield

    @contextlib.contextmanager
    def training(self, config: Config, state: TrainState) -> Iterator[ShowChunk]:
        seconds, greedy, total = 0.0, "", config.num_updates
        if state.update:
            self._print(f"resuming after update {int(state.update):,}")

        def show(chunk: Chunk) -> None:
            nonlocal seconds, greedy
            if not len(chunk.metrics.num_steps):
                return
            seconds += chunk.seconds
            for value in chunk.metrics.eval_return[np.isfinite(chunk.metrics.eval_return)]:
                greedy = f"greedy return {value:.1f}"
            parts = (
                f"{exact_steps(chunk.state.env_steps):,} steps",
                f"training return {chunk.metrics.mean_return[-1]:.1f}",
                greedy,
                f"{steps_per_second(chunk):,.0f} SPS",
            )
            done = int(chunk.state.update)
            board.show(
                f"update {done:,}/{total:,}", done, total, seconds, "  ".join(filter(None, parts))
            )

        with Board("training", int(state.update), quiet=self._quiet) as board:
            yield show

    def warn(self, message: str) -> None:
        print(f"warning: {message}", file=sys.stderr)

    def ended(self, result: SavedRun) -> None:
        if result.signal is not None:
            print(
                f"interrupted by {result.signal.name} after update {result.num_updates}; saved"
                f" {result.checkpoint}; resume with: purejaxrl-reinforce train --resume"
                f" {shlex.quote(str(result.path))}",
                file=sys.stderr,
            )
        for line in _summary(result):
            self._print(line)

    def _print(self, line: str) -> None:
        if not self._quiet:
            print(line, flush=True)


def _summary(result: SavedRun) -> Iterator[str]:
    """Return lines with the result and speed of a run, and the files of its directory."""
    returns = result.metrics["mean_return"]
    if np.isfinite(returns).any():
        yield (
            f"training return: {returns[-1]:.1f} in the last update,"
            f" {np.nanmax(returns):.1f} in the best (update {np.nanargmax(returns) + 1})"
        )
    else:
        yield "training return: unknown, no episode finished"
    stop_at = result.config.stop_at
    has_stopped = stop_at is not None and (returns[-1:] >= np.float32(stop_at)).any()
    if has_stopped:
        yield f"stopped after update {len(returns):,}, which reached stop_at={stop_at:g}"
    if solved := _solved(result):
        yield solved
    steps = int(result.metrics["env_steps"].max(initial=0))
    seconds = result.seconds
    yield (
        f"{len(returns):,} updates, {steps:,} steps in {seconds:.1f} s:"
        f" {steps / max(seconds, 1e-9):,.0f} SPS; compiled in {result.compile_seconds:.1f} s"
    )
    yield f"{result.path}: {', '.join(sorted(path.name for path in result.path.iterdir()))}"
    path = shlex.quote(str(result.path))
    yield f"next: purejaxrl-reinforce evaluate {path}, or video, plot, report"
    if not has_stopped:
        yield f"or: purejaxrl-reinforce train --resume {path} --num-updates N"


def _solved(result: SavedRun) -> str | None:
    """Say when training reached the return that counts as solved; None where there is none."""
    config, columns = result.config, result.metrics
    if (enough := threshold(config)) is None:
        return None
    update = first_solved(config, columns["mean_return"])
    if update is None:
        return f"not solved: no update had a training return of {enough:g}"
    last = np.mean(columns["mean_return"][-10:])
    steps, seconds = int(columns["env_steps"][update - 1]), columns["seconds"][update - 1]
    return (
        f"solved ({enough:g}) in update {update:,}, after {steps:,} steps and {seconds:.1f} s;"
        f" last 10 updates: {last:.1f}"
    )


def steps_per_second(chunk: Chunk) -> float:
    """Return the chunk's valid environment steps per second (SPS)."""
    return float(chunk.metrics.num_steps.sum() / chunk.seconds)
