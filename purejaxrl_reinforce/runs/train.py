"""Training runs: from the first file of a run directory to the last, on one or more processes."""

import contextlib
import dataclasses
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.reinforce import state_shapes
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import load_run_config
from purejaxrl_reinforce.execution.memory import require_batch_memory, require_memory
from purejaxrl_reinforce.execution.processes import (
    broadcast_from_primary,
    is_primary,
    is_single_process,
    run_on_all,
    run_on_primary,
    to_local,
)
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.sharding import shard_state
from purejaxrl_reinforce.execution.signals import StopRequest, raise_if_stopped
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.runs.checkpoint import load_latest, truncate_checkpoints
from purejaxrl_reinforce.runs.host_loop import Callback, Hosting, HostLoop
from purejaxrl_reinforce.runs.loggers import Logger
from purejaxrl_reinforce.runs.reporter import Reporter
from purejaxrl_reinforce.runs.result import RunResult
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS, PARAMS_FILE, RunDirectory


def train_run(
    config: Config,
    seed: int,
    run_dir: StrPath,
    hosting: Hosting = Hosting(),
    loggers: Sequence[Logger] = (),
    reporter: Reporter = Reporter(),
    callback: Callback | None = None,
    force: bool = False,
) -> RunResult:
    """Train from scratch into a new run directory.

    Args:
        config: what to train.
        seed: of all randomness.
        run_dir: new or empty.
        hosting: about checkpoints and loggers.
        loggers: places for metrics beside those of `hosting`; closed at the end.
        reporter: what shows progress; by default nothing is printed.
        callback: called after each chunk, about twice a second and on the first process alone, with
            the number of updates so far and the chunk's metrics by column of metrics.csv.
        force: whether to replace a run in `run_dir`, once the new one begins to train.

    Raises:
        ValueError: the input is bad; nothing was written.
        Interrupted: a signal came before the first update; nothing was written.
        NonFiniteError: numbers are no longer finite; everything before them is saved.
        OSError: files could not be written; the latest checkpoint stays.
    """
    hosting, reporter = _here(hosting, reporter)
    run = run_on_all(lambda: _run_directory(config, seed, Path(run_dir), force))
    with StopRequest() as stop:
        stop.deferred = True
        run_on_primary(run.create)
        with _removed_on_failure(run):
            stop.deferred = not is_single_process()
            raise_if_stopped(stop)
            program = _compile(run, reporter, None)
            loop = run_on_all(
                lambda: HostLoop(run, program, hosting, loggers, reporter, stop, callback)
            )
            stop.deferred = True
            raise_if_stopped(stop)
        with contextlib.closing(run):
            run_on_primary(run.drop_replaced)
            run.log(f"started: {config.num_updates} updates, seed {seed}")
            return loop.train(program.state)


def resume_run(
    run_dir: StrPath,
    num_updates: int | None = None,
    hosting: Hosting = Hosting(),
    loggers: Sequence[Logger] = (),
    reporter: Reporter = Reporter(),
    callback: Callback | None = None,
) -> RunResult:
    """Resume a run from its latest intact checkpoint, or from scratch before its first.

    Args:
        run_dir: of the run, which has its configuration and seed.
        num_updates: to train up to, those before included. None: as many as the run was to have.
        hosting, loggers, reporter, callback: as for `train_run`.

    Raises:
        ValueError: another process trains there; no checkpoint is intact, or one is of another
            configuration or format; it has results but no checkpoint; or the run has more than
            `num_updates` updates.
        Interrupted: a signal came before the first update; everything is as it was.
        NonFiniteError, OSError: as for `train_run`.
    """
    hosting, reporter = _here(hosting, reporter)
    config, seed, owner = _saved_config(Path(run_dir), num_updates)
    run = run_on_all(lambda: _run_directory(config, seed, Path(run_dir), owner=owner))
    with StopRequest() as stop, contextlib.closing(run):
        stop.deferred = not is_single_process()
        run_on_primary(run.open)
        # The first process reads, so that the others need not see its files.
        restored = _broadcast_state(config, lambda: _load_latest(run, reporter))
        program = _compile(run, reporter, run.path)
        stop.deferred = True
        raise_if_stopped(stop)
        run_on_primary(lambda: _truncate(run, restored))
        state = program.state
        if restored is not None:
            state = shard_state(to_local(restored, state), program.mesh)
        run_on_primary(lambda: reporter.resuming(int(state.update)))
        loop = run_on_all(
            lambda: HostLoop(run, program, hosting, loggers, reporter, stop, callback)
        )
        return loop.train(state)


def _saved_config(path: Path, num_updates: int | None) -> tuple[Config, int, str]:
    """Return configuration, seed and identity of a run, read by the first process for all."""

    def load() -> tuple[dict[str, Any], int, str]:
        config, seed, owner = load_run_config(path)
        if num_updates is not None:
            config = config.replace(num_updates=num_updates)
        return vars(config), seed, owner

    facts, seed, owner = broadcast_from_primary(load)
    return Config(**facts), seed, owner


def _here(hosting: Hosting, reporter: Reporter) -> tuple[Hosting, Reporter]:
    """Return both as they are for this process: the first alone logs and reports."""
    return (
        (hosting, reporter)
        if is_primary()
        else (dataclasses.replace(hosting, loggers=()), Reporter())
    )


def _run_directory(
    config: Config, seed: int, path: Path, force: bool = False, owner: str | None = None
) -> RunDirectory:
    config = environment.checked(config)
    require_batch_memory(config)
    return RunDirectory(path, config, seed, force, owner)


@contextlib.contextmanager
def _removed_on_failure(run: RunDirectory) -> Iterator[None]:
    """Remove what was made of a run if anything is raised in the block."""
    try:
        yield
    except BaseException:
        if is_primary():
            run.remove()
        raise


def _compile(run: RunDirectory, reporter: Reporter, resumed: Path | None) -> Program:
    def compile_here() -> Program:
        program = Program(run.config, jax.random.key(run.seed))
        remedy = f"try fewer than {run.config.num_envs:,} environments"
        require_memory(program.memory_bytes, remedy)
        return program

    with contextlib.ExitStack() as shown:
        run_on_primary(
            lambda: shown.enter_context(reporter.compiling(run.config, run.seed, resumed))
        )
        if is_primary():
            threading.Thread(target=_import_plots).start()
        return run_on_all(compile_here)


def _import_plots() -> None:
    """Import what draws figures, in the time that XLA compiles in."""
    with contextlib.suppress(Exception):  # raised again where it is used
        importlib.import_module("purejaxrl_reinforce.figures.curves")


def _load_latest(run: RunDirectory, reporter: Reporter) -> TrainState | None:
    """Return the state of the latest checkpoint that can be resumed, None before the first."""
    checkpoint, skipped = load_latest(
        run.path / CHECKPOINTS, run.config, run.seed, run.metrics.num_updates
    )
    for line in skipped:
        run.log(f"warning: {line}")
        reporter.warn(line)
    if checkpoint is None and (run.path / PARAMS_FILE).exists():
        raise ValueError(f"{run.path} has results, but no checkpoint to resume from")
    if checkpoint is None:
        return None
    update = int(checkpoint.state.update)
    if update > run.config.num_updates:
        raise ValueError(
            f"{run.path} has {update} updates already, more than"
            f" num_updates={run.config.num_updates}"
        )
    return checkpoint.state


def _broadcast_state(config: Config, load: Callable[[], TrainState | None]) -> TrainState | None:
    leaves = broadcast_from_primary(lambda: jax.tree.leaves(load()))  # of None there are none
    return jax.tree.unflatten(jax.tree.structure(state_shapes(config)), leaves) if leaves else None


def _truncate(run: RunDirectory, state: TrainState | None) -> None:
    """Drop from a run's files whatever comes after `state`."""
    update = 0 if state is None else int(state.update)
    run.metrics.truncate(update)
    truncate_checkpoints(run.path / CHECKPOINTS, update)
    run.write_config()
    run.log(f"resumed after update {update} of {run.config.num_updates}")
