"""A run from its directory's first file to its last: everything that training does on the host."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax

from purejaxrl_reinforce.algorithm import environment
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.memory import require_batch_memory, require_memory
from purejaxrl_reinforce.execution.processes import (
    agreed,
    from_first,
    is_alone,
    is_first,
    on_first,
    to_host,
    to_local,
)
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.sharding import shard_state
from purejaxrl_reinforce.execution.signals import StopRequest, end_if_asked_to
from purejaxrl_reinforce.runs.checkpoint import load_latest, tidy
from purejaxrl_reinforce.runs.host_loop import Hosting, HostLoop, _warn
from purejaxrl_reinforce.runs.loggers import Logger
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS, RunWriter


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
    return shard_state(to_local(host, initial), program.mesh)


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
