"""Training runs: from the first file of a run directory to the last, on one or more processes."""

import contextlib
import importlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from purejaxrl_reinforce.algorithm.lanes import key_of
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config, checked_seed
from purejaxrl_reinforce.config_file import load_run_config, new_identity
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.execution import kept, known_faults, sharding, signals
from purejaxrl_reinforce.execution.processes import broadcast_from_primary, is_primary, together
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.figures import drawing
from purejaxrl_reinforce.output.files import StrPath
from purejaxrl_reinforce.runs import checkpoint, saved_run
from purejaxrl_reinforce.runs.host_loop import Callback, Recorder, RunOptions, host_loop
from purejaxrl_reinforce.runs.loggers import Logger
from purejaxrl_reinforce.runs.reporter import Reporter
from purejaxrl_reinforce.runs.run_dir import CHECKPOINTS, PARAMS_FILE, RunDirectory, require_new


def train_run(
    config: Config,
    seed: int,
    run_dir: StrPath,
    options: RunOptions = RunOptions(),
    loggers: Sequence[Logger] = (),
    reporter: Reporter = Reporter(),
    callback: Callback | None = None,
    force: bool = False,
) -> saved_run.SavedRun:
    """Train from scratch into a new run directory.

    Args:
        config: of the training.
        seed: of all randomness.
        run_dir: new or empty.
        options: about checkpoints and loggers.
        loggers: further loggers beside those in `options`; closed at the end.
        reporter: shows progress; by default nothing is printed.
        callback: called after each chunk, about twice a second and on the first process alone, with
            the number of updates so far and the chunk's metrics by column of metrics.csv.
        force: whether to replace a run in `run_dir`. It is removed when the new one is whole, and
            comes back where that has no update.

    Raises:
        ValueError: the input is bad; nothing was written.
        NonFiniteError: numbers are no longer finite; the updates before that are saved.
        OSError: files could not be written; the latest checkpoint stays.

    Example:
        >>> from purejaxrl_reinforce import Config, train_run
        >>> run = train_run(Config(num_envs=4, num_steps=50, num_updates=3), 0, "runs/tiny")
        >>> run.num_updates
        3
    """
    found = kept.find(config) if options.keep_program else None
    with together():
        config = environment.checked(config) if found is None else config
        path, seed = Path(run_dir), checked_seed(seed)
        if not str(run_dir):
            raise ValueError("run_dir is empty")
        if is_primary() and not force:
            require_new(path)
    owner = broadcast_from_primary(lambda: new_identity(config))
    run = RunDirectory(path, config, seed, owner)
    program = _compile(run, reporter, None, found, options.keep_program)
    with signals.StopRequest() as stop:
        try:
            with together():
                if is_primary():
                    run.create(force)
                recorder = Recorder(run, options, loggers, reporter, callback)
                run.log(f"started: {config.num_updates} updates, seed {seed}")
            result = host_loop(program, program.state, recorder, stop)
        except BaseException:
            if not run.metrics.num_updates:  # there is nothing to keep
                run.undo()
            raise
        with together():
            run.drop_replaced()
        return result


def resume_run(
    run_dir: StrPath,
    num_updates: int | None = None,
    options: RunOptions = RunOptions(),
    loggers: Sequence[Logger] = (),
    reporter: Reporter = Reporter(),
    callback: Callback | None = None,
) -> saved_run.SavedRun:
    """Resume a run from its latest intact checkpoint, or from scratch before its first.

    Args:
        run_dir: of the run, which has its configuration and seed.
        num_updates: to train up to, those before included. None: as many as the run was to have.
        options, loggers, reporter, callback: as for `train_run`.

    Raises:
        ValueError: another process trains there; no checkpoint is intact, or one was made with
            other settings of jax; it has results but no checkpoint; or the run has more than
            `num_updates` updates. Everything is as it was.
        NonFiniteError, OSError: as for `train_run`.

    Example:
        >>> from purejaxrl_reinforce import resume_run
        >>> resume_run("runs/tiny", num_updates=5).num_updates
        5
    """
    run = RunDirectory(Path(run_dir), *_saved_config(Path(run_dir), num_updates))
    with contextlib.closing(run):
        with together():
            environment.checked(run.config)
            if is_primary():
                run.open()
        # The first process reads, so that the others need not see its files.
        leaves = broadcast_from_primary(lambda: jax.tree.leaves(_load_latest(run, reporter)))
        program = _compile(run, reporter, run.path)
        state = program.state
        if leaves:  # of None there are none
            restored = jax.tree.unflatten(jax.tree.structure(state), leaves)
            state = sharding.shard_state(restored, program.mesh)
        with signals.StopRequest() as stop:
            with together():
                if is_primary():
                    run.truncate(int(state.update))
                recorder = Recorder(run, options, loggers, reporter, callback)
            return host_loop(program, state, recorder, stop)


def _saved_config(path: Path, num_updates: int | None) -> tuple[Config, int, str]:
    """Return configuration, seed and identity of a run, read by the first process for all."""
    saved: list[Any] = broadcast_from_primary(
        lambda: [vars(x) if isinstance(x, Config) else x for x in load_run_config(path)]
    )
    config = Config(**saved[0])
    return config if num_updates is None else config.replace(num_updates=num_updates), *saved[1:]


def _compile(
    run: RunDirectory,
    reporter: Reporter,
    resumed: Path | None,
    found: kept.Kept | None = None,
    keep: bool = False,
) -> Program:
    """Compile the training of a run, or load it, on all processes; the first reports it."""
    shown = reporter if is_primary() else Reporter()
    if not drawing.is_started():  # else it is imported in the time that XLA compiles in
        threading.Thread(target=importlib.import_module, args=(drawing.CURVES,)).start()
    for line in known_faults.warnings_for(run.config):
        shown.warn(line)
    with together(), shown.compiling(run.config, run.seed, resumed):
        program = Program(run.config, key_of(run.seed), found, keep)
    run.metrics.own = program.own_metrics
    return program


def _load_latest(run: RunDirectory, reporter: Reporter) -> TrainState | None:
    """Return the state of the latest checkpoint that can be resumed, None before the first."""
    state, skipped = checkpoint.load_latest(
        run.path / CHECKPOINTS, run.config, run.owner, run.metrics.num_updates
    )
    for line in skipped:
        run.log(f"warning: {line}")
        reporter.warn(line)
    if state is None:
        if (run.path / PARAMS_FILE).exists():
            raise ValueError(f"{run.path} has results, but no checkpoint to resume from")
        return None
    if (update := int(state.update)) > run.config.num_updates:
        raise ValueError(
            f"{run.path} has {update} updates already, more than"
            f" num_updates={run.config.num_updates}"
        )
    return state
