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

from purejaxrl_reinforce.execution.processes import PeerLostError, is_primary, together
from purejaxrl_reinforce.execution.signals import StopRequest, stop_signal
from purejaxrl_reinforce.figures.style import save_figure
from purejaxrl_reinforce.output.files import atomic_write
from purejaxrl_reinforce.output.json_text import dump_json
from purejaxrl_reinforce.output.progress import Board
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.statistics import interquartile_mean
from purejaxrl_reinforce.sweeps.figures import sweep_figures
from purejaxrl_reinforce.sweeps.log_curves import log_curves
from purejaxrl_reinforce.sweeps.plan import SweepPlan
from purejaxrl_reinforce.sweeps.ranking import ranking_view, show_bounds, show_score
from purejaxrl_reinforce.sweeps.results import SweepResults, save_results
from purejaxrl_reinforce.sweeps.summary import agent_scores, score_interval, summarize, summary_dict
from purejaxrl_reinforce.sweeps.sweep import SweepLoop
from purejaxrl_reinforce.tasks import task


def run_sweep(
    plan: SweepPlan,
    path: Path,
    width: int | None,
    quiet: bool,
    force: bool = False,
    loggers: tuple[Sequence[str], Mapping[str, Any]] = ((), {}),
) -> int | None:
    """Train what a sweep's directory does not have yet, then write and print the results.

    Args:
        plan: of the sweep.
        path: of its directory.
        width: agents per slice, see `sweep`.
        quiet: whether only errors and warnings are printed.
        force: whether another sweep in the directory is replaced.
        loggers: names and arguments, see `log_curves`.

    Returns:
        The number of the signal that stopped it, SIGINT or SIGTERM, or None; finished slices are
        kept.

    Raises:
        ValueError: the input is bad; nothing was written.
        OSError: files could not be written; finished slices are kept.
    """
    quiet = quiet or not is_primary()
    with (
        StopRequest() as stop,
        contextlib.closing(SweepLoop(plan, path, width, warn=_warn, force=force)) as sweep,
        _naming(path),
    ):
        if not quiet:
            print(_headline(plan, path), flush=True)
        started = time.perf_counter()
        number = _train(sweep, stop, quiet)
        if number is not None:
            _report_interruption(sweep, path, number)
            return number
        sweep.log(f"finished in {time.perf_counter() - started:.1f} s")
        with together():
            if is_primary():
                save_outputs(path, sweep.results, quiet)
                log_curves(path, sweep.results, *loggers)
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
        f" {count(plan.num_seeds, 'seed')}, {count(len(plan.programs), 'program')} to"
        f" compile; {path}"
    )


def _train(sweep: SweepLoop, stop: StopRequest, quiet: bool) -> int | None:
    """Train until the end, or until a signal on any process; return its number, or None."""
    best, known = "", 0
    with Board("starting", quiet=quiet) as board:
        for compiling in sweep.train():
            trained, total = sweep.results.num_trained, sweep.plan.num_agents
            if trained > known and not quiet:
                best, known = "  ".join(_best_so_far(sweep.results)), trained
            speed = f"{sweep.steps / sweep.seconds:,.0f} SPS" if sweep.seconds else ""
            board.show(
                f"{trained:,}/{total:,} agents",
                sweep.updates + trained,  # an agent's evaluation counts as one more update
                sweep.updates + sweep.updates_left + total,
                sweep.seconds,
                "  ".join(filter(None, [speed, best, compiling])),
                # The headline has said that the first program is compiled.
                sweep.updates > 0 and compiling != "",
            )
            number = stop_signal(stop)
            if number is not None and sweep.updates_left:
                return number
    return None


def _best_so_far(results: SweepResults) -> Iterator[str]:
    """Yield the best setting of each environment among the agents that are trained."""
    trained, scores, labels = np.isfinite(results.seconds), agent_scores(results), results.labels
    best: dict[str, tuple[float, int]] = {}
    for i in np.flatnonzero(trained.any(axis=1)).tolist():
        found = float(interquartile_mean(scores[i, trained[i]])), i
        env = task(results.configs[i])
        best[env] = max(found, best.get(env, found))
    for env, (_, i) in best.items():
        interval = score_interval(env, scores[i, trained[i]])
        score = f"{show_score(interval.value)} {show_bounds(interval)}"
        of = f" of {env}" if len(best) > 1 else ""
        setting = f", setting {i}: {labels[i]}" if len(labels) > 1 else ""
        yield f"best greedy return{of} so far {score}, {count(trained[i].sum(), 'seed')}{setting}"


def _report_interruption(sweep: SweepLoop, path: Path, number: int) -> None:
    name, trained = signal.Signals(number).name, sweep.results.num_trained
    sweep.log(f"stopped by {name} after {count(trained, 'agent')}")
    if is_primary():
        print(
            f"interrupted by {name}; {trained:,} of {sweep.plan.num_agents:,} agents are"
            f" in {path}; rerun the same sweep command to finish",
            file=sys.stderr,
        )


def save_outputs(path: Path, results: SweepResults, quiet: bool) -> None:
    """Write arrays, table, statistics and pictures into a sweep's directory; print the ranking."""
    save_results(path, results)
    summaries = summarize(results)
    with atomic_write(path / "summary.json") as unfinished:
        unfinished.write_text(dump_json(summary_dict(results, summaries)))
    for name, figure in sweep_figures(results, summaries).items():
        with atomic_write(path / f"{name}.png") as unfinished:
            save_figure(figure, unfinished)
    if not quiet:
        sys.stdout.flush()
        Console().print(ranking_view(results, summaries))
        print(f"{path}: {', '.join(sorted(file.name for file in path.iterdir()))}")
