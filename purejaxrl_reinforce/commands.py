"""The verb `train`."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np

from purejaxrl_reinforce import environment
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.memory import require_batch_memory, require_memory
from purejaxrl_reinforce.progress import progress
from purejaxrl_reinforce.results import RunWriter
from purejaxrl_reinforce.runner import NonFiniteError, Program


def train(config: Config, seed: int, run_dir: Path, quiet: bool) -> int:
    """Train, show progress and leave a run directory.

    Returns:
        The exit code: 0; 1 where numbers stopped being finite; 130 after an interruption, when
        the directory holds what was trained so far.

    Raises:
        ValueError: the input is bad; nothing was written.
    """
    environment.make(config.env)
    require_batch_memory(config)
    writer = RunWriter(run_dir, config, seed)
    try:
        if not quiet:
            print(
                f"{config.env} on {jax.default_backend()}: {config.num_envs:,} lanes,"
                f" {config.num_updates:,} updates, seed {seed}; compiling",
                flush=True,
            )
        program = Program(config, jax.random.key(seed))
        require_memory(program.memory_bytes, f"try less than num_envs={config.num_envs}")
    except BaseException:
        writer.discard()
        raise
    exit_code = _train_into(writer, program, quiet)
    if not quiet:
        _print_summary(writer, program)
    return exit_code


def _train_into(writer: RunWriter, program: Program, quiet: bool) -> int:
    state, exit_code = program.state, 0
    try:
        with progress(program.config.num_updates, quiet) as show:
            for chunk in program.run():
                state = chunk.state
                writer.add(chunk.metrics, chunk.seconds)
                show(chunk)
    except NonFiniteError as error:
        print(f"error: {error}; kept the parameters from before it", file=sys.stderr)
        exit_code = 1
    except KeyboardInterrupt:
        print(f"interrupted after update {len(writer.mean_returns)}", file=sys.stderr)
        exit_code = 130
    with _deaf_to_interruptions():
        writer.finish(state.params)
    return exit_code


@contextlib.contextmanager
def _deaf_to_interruptions() -> Iterator[None]:
    """Keep a second Ctrl-C, of an impatient user, from costing what the first one kept."""
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _print_summary(writer: RunWriter, program: Program) -> None:
    returns, seconds = np.asarray(writer.mean_returns), max(writer.seconds, 1e-9)
    if np.isfinite(returns).any():
        print(
            f"mean return: {returns[-1]:.1f} in the last update,"
            f" {np.nanmax(returns):.1f} in the best (update {np.nanargmax(returns) + 1})"
        )
    else:
        print("mean return: unknown, no episode finished")
    print(
        f"{len(returns):,} updates, {writer.env_steps:,} environment steps in {seconds:.1f} s:"
        f" {writer.env_steps / seconds:,.0f} SPS; compiled in {program.compile_seconds:.1f} s"
    )
    files = ", ".join(sorted(path.name for path in writer.path.iterdir()))
    print(f"{writer.path}: {files}")
