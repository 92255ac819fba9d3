"""One agent of a sweep as a run of its own, which evaluates, resumes and renders like any."""

import contextlib
from pathlib import Path
from typing import Any

import jax

from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.config_file import new_identity, run_content
from purejaxrl_reinforce.runs.run_dir import RunDirectory
from purejaxrl_reinforce.sweeps.store import Slice, saved_sweep


def extract_agent(
    sweep_dir: Path, setting: int, seed: int, run_dir: Path, force: bool = False
) -> None:
    """Write a run directory for one agent of a sweep, finished or not.

    The `seconds` of its metrics are its share of the time that its slice took.

    Args:
        sweep_dir: of the sweep.
        setting: number of the agent's setting, from 0.
        seed: of the agent.
        run_dir: new or empty.
        force: whether to replace a run there.

    Raises:
        ValueError: there is no such sweep, setting or seed, the agent is not trained yet, or
            `run_dir` cannot be written; nothing was written.
    """
    sweep = saved_sweep(sweep_dir)
    part, row = sweep.slice_with(sweep.plan.agent_number(setting, seed))
    config = sweep.plan.configs[setting]
    run = RunDirectory(run_dir, config, seed, new_identity(run_content(config, seed)))
    run.create(force)
    try:
        with contextlib.closing(run):
            _write(run, part, row)
            run.log(f"extracted from a sweep: setting {setting}, seed {seed}")
    except BaseException:
        run.remove()
        raise
    run.drop_replaced()


def _write(run: RunDirectory, part: Slice, row: int) -> None:
    state: TrainState = jax.tree.map(lambda x: x[row], part.state)
    applied = int(state.update)  # fewer than all where numbers stopped being finite
    metrics: Any = jax.tree.map(lambda x: x[row, :applied], part.metrics)
    if applied:
        run.metrics.add(Metrics(*metrics), part.seconds / len(part.agents))
    run.save(state, keep=1)
    run.write_results(state.params)
