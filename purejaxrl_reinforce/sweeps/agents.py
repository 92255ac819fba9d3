"""One agent of a sweep as a run of its own, which evaluates, resumes and renders like any."""

import contextlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from purejaxrl_reinforce.checkpoint import CheckpointWriter
from purejaxrl_reinforce.results import CHECKPOINTS, RunWriter
from purejaxrl_reinforce.state import Metrics, TrainState
from purejaxrl_reinforce.study import Study
from purejaxrl_reinforce.sweep_store import Slice, load_agent_slice, load_study


def take_out(sweep_dir: Path, setting: int, seed: int, run_dir: Path) -> None:
    """Write a run directory for one agent of a sweep, finished or not.

    The `seconds` of its metrics are its share of the time that its slice took.

    Args:
        sweep_dir: of the sweep.
        setting: number of the agent's setting, from 0.
        seed: of the agent.
        run_dir: new or empty.

    Raises:
        ValueError: there is no such sweep, setting or seed, the agent is not trained yet, or
            `run_dir` cannot be written; nothing was written.
    """
    study = load_study(sweep_dir)
    agent = _agent_number(study, setting, seed)
    row, part = load_agent_slice(sweep_dir, study, agent)
    config, state = study.configs[setting], agent_state(part, row)
    writer = RunWriter(run_dir, config, seed)
    writer.create()
    try:
        with contextlib.closing(writer):
            _write(writer, part, row, state, config)
            writer.log(f"taken out of a sweep: setting {setting}, seed {seed}")
    except BaseException:
        writer.discard()
        raise


def agent_state(part: Slice, row: int) -> TrainState:
    """Return the training state of one agent of a slice."""
    state: TrainState = jax.tree.map(lambda x: jnp.asarray(x[row]), part.state)
    return state._replace(key=jax.random.wrap_key_data(state.key))


def _write(writer: RunWriter, part: Slice, row: int, state: TrainState, config: Any) -> None:
    applied = int(state.update)  # fewer than all where numbers stopped being finite
    metrics: Any = jax.tree.map(lambda x: x[row, :applied], part.metrics)
    if applied:
        writer.metrics.add(Metrics(*metrics), part.seconds / len(part.agents))
    checkpoints = CheckpointWriter(writer.path / CHECKPOINTS, config, writer.seed, keep=1)
    try:
        mean_return = writer.mean_returns[-1] if applied else float("nan")
        checkpoints.save(state, writer.metrics.seconds, mean_return)
        checkpoints.wait()
    finally:
        checkpoints.close()
    writer.finish(state.params)


def _agent_number(study: Study, setting: int, seed: int) -> int:
    if not 0 <= setting < len(study.configs):
        last = len(study.configs) - 1
        raise ValueError(f"setting must lie between 0 and {last}, not {setting}")
    key_data = np.asarray(jax.random.key_data(jax.random.key(seed)))
    found = np.flatnonzero((study.key_data == key_data).all(axis=1))
    if not len(found):
        raise ValueError(f"the sweep has no seed {seed}")
    return setting * study.num_seeds + int(found[0])
