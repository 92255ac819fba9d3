"""The verb `sweep`: train, show how far it is, and say what came of it."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jax

from purejaxrl_reinforce.axes import Axes
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.interruption import StopRequest, agreed_signal, end_if_asked_to
from purejaxrl_reinforce.labels import count
from purejaxrl_reinforce.processes import (
    LostProcessError,
    agreed,
    is_first,
    on_first,
)
from purejaxrl_reinforce.study import Study, make_study
from purejaxrl_reinforce.sweep_findings import save_findings
from purejaxrl_reinforce.sweep_progress import sweep_progress
from purejaxrl_reinforce.sweep_results import labels_of
from purejaxrl_reinforce.sweep_trainer import Sweep, open_sweep


def run_sweep(
    config: Config,
    seeds: range,
    axes: Axes,
    zipped: bool,
    path: Path,
    width: int | None,
    num_episodes: int,
    quiet: bool,
) -> int:
    """Train what a sweep's directory does not have yet, then write and print what was found.

    Args:
        config: what all settings share.
        seeds: of each setting.
        axes: values by field.
        zipped: take values together, not in all combinations.
        path: the directory: new, empty, or of the same sweep.
        width: agents per slice; None: chosen.
        num_episodes: of each agent's greedy evaluation.
        quiet: whether to print nothing but errors and warnings.

    Returns:
        The exit code: 0; 128 plus the signal's number after SIGINT or SIGTERM; finished slices
        are kept.

    Raises:
        ValueError: the input is bad; nothing was written.
        OSError: files could not be written; finished slices are kept.
    """
    with StopRequest() as stop:
        stop.deferred = True
        study = agreed(lambda: make_study(config, seeds, axes, zipped, num_episodes))
        end_if_asked_to(stop)
        quiet = quiet or not is_first()
        with open_sweep(study, path, width) as sweep:
            if not quiet:
                print(_headline(study, path), flush=True)
            with _saying_where(path):
                return _run(sweep, stop, path, quiet)


def _run(sweep: Sweep, stop: StopRequest, path: Path, quiet: bool) -> int:
    started = time.perf_counter()
    number = _train(sweep, stop, quiet)
    if number is not None:
        _say_interrupted(sweep, path, number)
        return 128 + number
    results = sweep.finish()
    seconds = time.perf_counter() - started
    on_first(lambda: save_findings(path, results, quiet))
    sweep.log(f"finished in {seconds:.1f} s")
    return 0


@contextlib.contextmanager
def _saying_where(path: Path) -> Iterator[None]:
    """Say of files that cannot be written where they are, and what is kept."""
    try:
        yield
    except (LostProcessError, BrokenPipeError):
        raise
    except OSError as error:
        raise OSError(
            f"cannot write to {path}: {error.strerror or error}; finished slices are kept, and the"
            " same command goes on"
        ) from None


def _headline(study: Study, path: Path) -> str:
    envs = ", ".join(dict.fromkeys(config.env for config in study.configs))
    return (
        f"{envs} on {jax.default_backend()}: {count(len(study.configs), 'setting')} with"
        f" {count(study.num_seeds, 'seed')}, {count(len(study.programs()), 'program')} to"
        f" compile; {path}"
    )


def _train(sweep: Sweep, stop: StopRequest, quiet: bool) -> int | None:
    """Train until the end, or until a signal on any process; return its number, or None."""
    study = sweep.study
    with sweep_progress(study.num_agents, labels_of(study.axes, study.configs), quiet) as show:
        for now in sweep.train():
            show(now)
            number = agreed_signal(stop)
            if number is not None and now.updates_left:
                return number
    return None


def _say_interrupted(sweep: Sweep, path: Path, number: int) -> None:
    name = signal.Signals(number).name
    sweep.log(f"stopped by {name} after {sweep.agents_done} agents")
    if is_first():
        print(
            f"interrupted by {name}; {sweep.agents_done:,} of {sweep.study.num_agents:,} agents are"
            f" in {path}; the same command goes on",
            file=sys.stderr,
        )
