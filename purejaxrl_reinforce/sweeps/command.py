"""A sweep with progress on the terminal; its results printed and written, with pictures."""

import contextlib
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from purejaxrl_reinforce.algorithm.environments.environment import task
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.processes import (
    PeerLostError,
    is_primary,
    run_on_all,
    run_on_primary,
)
from purejaxrl_reinforce.execution.signals import StopRequest, raise_if_stopped, stop_signal
from purejaxrl_reinforce.figures.style import save_figure
from purejaxrl_reinforce.output.files import atomic_write
from purejaxrl_reinforce.output.json_text import dump_json
from purejaxrl_reinforce.output.progress import Board
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.statistics import interquartile_mean
from purejaxrl_reinforce.sweeps.axes import Axes
from purejaxrl_reinforce.sweeps.figures import sweep_figures
from purejaxrl_reinforce.sweeps.log_curves import log_curves
from purejaxrl_reinforce.sweeps.plan import SweepPlan, make_plan
from purejaxrl_reinforce.sweeps.ranking import ranking_view, show_bounds, show_score
from purejaxrl_reinforce.sweeps.results import SweepResults, labels_of, save_table
from purejaxrl_reinforce.sweeps.summary import score_interval, summarize, summary_dict
from purejaxrl_reinforce.sweeps.sweep import SweepLoop, SweepProgress, open_sweep


def run_sweep(
    config: Config,
    seeds: range,
    axes: Axes,
    zipped: bool,
    path: Path,
    width: int | None,
    num_episodes: int,
    quiet: bool,
    force: bool = False,
    loggers: tuple[Sequence[str], Mapping[str, Any]] = ((), {}),
) -> int | None:
    """Train what a sweep's directory does not have yet, then write and print the results.

    See `sweep` for the other arguments; with `quiet`, only errors and warnings are printed; with
    `force`, another sweep in the directory is replaced. `loggers` are names and arguments as of
    `log_curves`.

    Returns:
        The number of the signal that stopped it, SIGINT or SIGTERM, or None; finished slices are
        kept.

    Raises:
        ValueError: the input is bad; nothing was written.
        OSError: files could not be written; finished slices are kept.
    """
    with StopRequest() as stop:
        stop.deferred = True
        plan = run_on_all(lambda: make_plan(config, seeds, axes, zipped, num_episodes))
        raise_if_stopped(stop)
        quiet = quiet or not is_primary()
        with open_sweep(plan, path, width, warn=_warn, force=force) as sweep:
            if not quiet:
                print(_headline(plan, path), flush=True)
            with _naming(path):
                return _run(sweep, stop, path, quiet, loggers)


def _run(
    sweep: SweepLoop,
    stop: StopRequest,
    path: Path,
    quiet: bool,
    loggers: tuple[Sequence[str], Mapping[str, Any]],
) -> int | None:
    started = time.perf_counter()
    number = _train(sweep, stop, quiet)
    if number is not None:
        _report_interruption(sweep, path, number)
        return number
    results = sweep.finish()
    seconds = time.perf_counter() - started
    run_on_primary(lambda: save_outputs(path, results, quiet))
    run_on_primary(lambda: log_curves(path, results, *loggers))
    sweep.log(f"finished in {seconds:.1f} s")
    return None


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the directory in errors of files that cannot be written, and what is kept."""
    try:
        yield
    except (PeerLostError, BrokenPipeError):
        raise
    except OSError as error:
        raise OSError(
            f"cannot write to {path}: {error.strerror or error}; finished slices are kept, rerun"
            " the same sweep command to finish"
        ) from None


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _headline(plan: SweepPlan, path: Path) -> str:
    envs = ", ".join(dict.fromkeys(config.env for config in plan.configs))
    return (
        f"{envs} on {jax.default_backend()}: {count(len(plan.configs), 'setting')} with"
        f" {count(plan.num_seeds, 'seed')}, {count(len(plan.programs()), 'program')} to"
        f" compile; {path}"
    )


def _train(sweep: SweepLoop, stop: StopRequest, quiet: bool) -> int | None:
    """Train until the end, or until a signal on any process; return its number, or None."""
    plan, labels = sweep.plan, labels_of(sweep.plan.axes, sweep.plan.configs)
    with Board("starting", quiet=quiet) as board:
        for now in sweep.train():
            # An agent's evaluation counts as one more update.
            done, total = now.updates + now.agents, now.updates + now.updates_left + plan.num_agents
            agents = f"{now.agents:,}/{plan.num_agents:,} agents"
            compiling = now.doing if now.doing.startswith("compiling") else ""
            speed = f"{now.steps / now.seconds:,.0f} SPS" if now.seconds else ""
            text = "  ".join(filter(None, [speed, *_best_so_far(plan, now, labels), compiling]))
            # The headline has said that the first program is compiled.
            board.show(agents, done, total, now.seconds, text, now.updates > 0 and compiling != "")
            number = stop_signal(stop)
            if number is not None and now.updates_left:
                return number
    return None


def _best_so_far(plan: SweepPlan, now: SweepProgress, labels: Sequence[str]) -> Iterator[str]:
    """Return the best setting of each environment among the agents that are trained."""
    best: dict[str, tuple[float, int]] = {}
    for i, (config, scores) in enumerate(zip(plan.configs, now.scores, strict=True)):
        if scores:
            found = float(interquartile_mean(np.array(scores))), i
            best[task(config)] = max(found, best.get(task(config), found))
    for name, (_, i) in best.items():
        interval = score_interval(name, np.array(now.scores[i]))
        seeds = count(len(now.scores[i]), "seed")
        of = f" of {name}" if len(best) > 1 else ""
        setting = f", setting {i}: {labels[i]}" if len(labels) > 1 else ""
        score = f"{show_score(interval.value)} {show_bounds(interval)}"
        yield f"best greedy return{of} so far {score}, {seeds}{setting}"


def _report_interruption(sweep: SweepLoop, path: Path, number: int) -> None:
    name, trained = signal.Signals(number).name, sweep.progress.agents
    sweep.log(f"stopped by {name} after {count(trained, 'agent')}")
    if is_primary():
        print(
            f"interrupted by {name}; {trained:,} of {sweep.plan.num_agents:,} agents are"
            f" in {path}; rerun the same sweep command to finish",
            file=sys.stderr,
        )


SUMMARY_FILE = "summary.json"


def save_outputs(path: Path, results: SweepResults, quiet: bool) -> None:
    """Write table, statistics and pictures into the directory of a sweep; print the statistics."""
    save_table(path, results)
    summaries = summarize(results)
    with atomic_write(path / SUMMARY_FILE) as unfinished:
        unfinished.write_text(dump_json(summary_dict(results, summaries)))
    for name, figure in sweep_figures(results, summaries).items():
        with atomic_write(path / f"{name}.png") as unfinished:
            save_figure(figure, unfinished)
    if not quiet:
        sys.stdout.flush()
        Console().print(ranking_view(results, summaries))
        print(f"{path}: {', '.join(sorted(file.name for file in path.iterdir()))}")
