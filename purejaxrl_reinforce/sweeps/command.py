"""What the verbs do: `sweep`, with progress on the terminal, and `extract`."""

import contextlib
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from purejaxrl_reinforce.config_file import new_identity
from purejaxrl_reinforce.decisions import ranking
from purejaxrl_reinforce.execution import signals
from purejaxrl_reinforce.execution.fingerprint import UPDATES
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.runs.run_dir import RunDirectory
from purejaxrl_reinforce.sweeps import outputs, store
from purejaxrl_reinforce.sweeps.plan import SweepPlan
from purejaxrl_reinforce.sweeps.summary import rank
from purejaxrl_reinforce.sweeps.sweep import SweepLoop
from purejaxrl_reinforce.sweeps.workers import WorkersLostError


def run_sweep(
    plan: SweepPlan,
    path: Path,
    quiet: bool,
    loggers: tuple[Sequence[str], Mapping[str, Any]] = ((), {}),
    **options: Any,
) -> int | None:
    """Train the agents that a sweep directory lacks, then write and print the results.

    Takes the arguments of `log_curves` and `SweepLoop`. Returns the number of the signal that
    stopped it, or None. Finished slices are kept.

    Raises:
        ValueError: the input is bad; nothing was written.
        OSError: files could not be written.
    """
    try:
        with (
            signals.StopRequest() as stop,
            contextlib.closing(SweepLoop(plan, path, warn=_warn, **options)) as sweep,
        ):
            if not quiet:
                print(_headline(sweep.results, path), flush=True)
            started = time.perf_counter()
            number = sweep.run(stop, quiet)
            if number is not None:
                _report_interruption(sweep, path, number)
                return number
            sweep.log(f"finished in {time.perf_counter() - started:.1f} s")
            outputs.save_outputs(path, sweep.results, quiet)
            for line in () if quiet else outputs.unequal_steps(sweep.results):
                _warn(line)
            outputs.log_curves(path, sweep.results, *loggers)
    except (WorkersLostError, BrokenPipeError):
        raise
    except OSError as error:
        raise OSError(
            f"cannot write to {path}: {error.strerror or error}; finished slices are kept, rerun"
            " the same sweep command to finish"
        ) from None
    return None


def _warn(message: str) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _headline(plan: SweepPlan, path: Path) -> str:
    envs = ", ".join(dict.fromkeys(config.env for config in plan.configs))
    return (
        f"{envs} on {jax.default_backend()}: {count(len(plan.configs), 'setting')} with"
        f" {'' if plan.equal_within is None else 'at most '}{count(plan.num_seeds, 'seed')},"
        f" {count(len(plan.programs), 'program')} to"
        f" compile; {path}"
    )


def _report_interruption(sweep: SweepLoop, path: Path, number: int) -> None:
    name, trained = signal.Signals(number).name, sweep.results.num_trained
    sweep.log(f"stopped by {name} after {count(trained, 'agent')}")
    kept = f"{trained:,} of {sweep.results.num_agents:,} agents are in {path}"
    print(
        f"interrupted by {name}; {kept if trained else 'no agent is trained yet'};"
        " rerun the same sweep command to finish",
        file=sys.stderr,
    )
    for ranked in rank(sweep.results) if trained else ():
        print(*ranking.explain_looks(ranked), sep="\n")


def extract_agent(
    sweep_dir: Path, setting: int, seed: int, run_dir: Path, force: bool = False
) -> None:
    """Write a run directory for one agent of a sweep, finished or not.

    The `seconds` of its metrics are its share of the time that its slice took.

    Raises:
        ValueError: there is no such sweep, setting or seed, the agent is not trained yet, or
            `run_dir` cannot be written; nothing was written.
    """
    sweep = store.saved_sweep(sweep_dir)
    agent = sweep.agent(setting, seed)
    config = sweep.plan.configs[setting]
    run = RunDirectory(run_dir, config, seed, new_identity(config))
    try:
        with contextlib.closing(run):
            run.metrics.own = tuple(agent.metrics.own)
            run.create(force, sweep.started)
            applied = int(agent.state.update)  # fewer than all where numbers were not finite
            if applied:
                metrics = jax.tree.map(lambda x: x[:applied], agent.metrics)
                run.metrics.add(metrics, float(agent.seconds))
            run.save(agent.state, keep=1)
            if applied <= UPDATES:  # of more, the parameters after the tenth are not kept
                run.write_fingerprint(agent.state.params, applied)
            run.write_results(agent.state.params)
            run.log(f"extracted from a sweep: setting {setting}, seed {seed}")
    except BaseException:
        run.undo()
        raise
    run.drop_replaced()
