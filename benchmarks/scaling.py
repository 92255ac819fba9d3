"""Scaling: time and memory against lanes, agents and devices.

    python benchmarks/scaling.py

times one update of the same trained policy with every number of lanes, with the gradient
accumulated over blocks and, for comparison, taken over the whole batch at once; the training of
several agents as a sweep does it, one after the other on each device, against agents side by side
(`vmap`) and against a run whose lanes are sharded over all devices; and `bench` in a process of its
own for every number of CPU devices, because jax has to know it before it starts. Writes
results/scaling.json and .png.
"""

import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from harness import RESULTS, Table, compile_apart, finish, measured_rows, run
from matplotlib.figure import Figure

from purejaxrl_reinforce import Config, Metrics, TrainState, init, preset, step, train
from purejaxrl_reinforce.algorithm.rollout import steps_per_update
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.timing import Call
from purejaxrl_reinforce.bench.workload import TRAINING
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.execution.machine import machine_name
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.sharding import (
    LANES,
    REPLICATED,
    STATE,
    lane_mesh,
    shard_lanes,
    shard_state,
)
from purejaxrl_reinforce.figures.style import REFERENCE, styled
from purejaxrl_reinforce.sweeps.population import Job, Population

BLOCKS, FULL = "in blocks", "full batch"
RUN = "runs one after the other"
SWEEP, AT_ONCE = "one after the other on each device", "side by side on each device (vmap)"
# The same for readers of the figure and the table.
NAMES = {
    BLOCKS: "gradient in blocks of rows",
    FULL: "gradient of the full batch",
    RUN: "one run at a time, on all devices",
    SWEEP: "each device trains its agents in sequence",
    AT_ONCE: "each device trains its agents vmapped",
}
# More than this many agents side by side are slower still, and take minutes.
MOST_AT_ONCE = 32


def scale_lanes(config: Config, lanes: Sequence[int], seed: int, repeats: int) -> list[dict]:
    """Time one update of the same policy with every number of lanes, in blocks and as a whole."""
    key = jax.random.key(seed)
    trained, _ = train(config, key)
    halfway = jnp.int32(config.num_updates // 2)
    learned = {"params": trained.params, "opt_state": trained.opt_state, "update": halfway}
    longest = steps_per_update(config, environment.make(config.env, config.env_params))
    calls: dict[str, tuple[Call, dict[str, Any]]] = {}
    for num_envs in lanes:
        for kind, block_rows in ((BLOCKS, None), (FULL, longest * num_envs)):
            wider = replace(config, num_envs=num_envs, block_rows=block_rows)
            mesh = lane_mesh(num_envs, jax.local_devices())
            state = shard_state(init(wider, key)._replace(**learned), mesh)
            sharded = shard_lanes(_update, mesh, (REPLICATED, STATE), (STATE, REPLICATED))
            program = compile_apart(sharded, wider, state)
            call = functools.partial(program.call, wider, state)
            facts = {
                "kind": kind,
                "num_envs": num_envs,
                "program_bytes": program.memory_bytes * mesh.size,
                "compile_seconds": program.seconds,
                "valid_steps": int(jax.block_until_ready(call())[1].num_steps),
            }
            calls[f"lanes={num_envs} {kind}"] = call, facts
    return measured_rows(calls, repeats)


def _update(config: Config, state: TrainState) -> tuple[TrainState, Metrics]:
    return step(config, state, LANES)


def scale_agents(config: Config, agents: Sequence[int], repeats: int) -> list[dict]:
    """Time the training of several agents as a sweep does it, side by side, and run by run."""
    calls: dict[str, tuple[Call, dict[str, Any]]] = {}
    alone = Program(config, jax.random.key(0))
    train_run = functools.partial(alone.advance, alone.state, config.num_updates)
    facts = {
        "agents": 1,
        "program_bytes": alone.memory_bytes,
        "compile_seconds": alone.compile_seconds,
        "valid_steps": int(np.sum(train_run()[1].num_steps)),
    }
    calls[RUN] = train_run, facts
    for number in agents:
        devices = jax.devices()[:number]
        share = -(-number // len(devices))
        for kind in [SWEEP, AT_ONCE] if 1 < share <= MOST_AT_ONCE else [SWEEP]:
            one_by_one = kind == SWEEP
            population = Population(config, devices, share, num_episodes=1, one_by_one=one_by_one)
            call = functools.partial(_train_agents, population, config, number)
            facts = {
                "agents": number,
                "agents_how": kind,
                "program_bytes": population.memory_bytes,
                "compile_seconds": population.compile_seconds,
                "valid_steps": call(),
            }
            calls[f"agents={number} {kind}"] = call, facts
    return measured_rows(calls, repeats)


def _train_agents(population: Population, config: Config, number: int) -> int:
    """Train `number` agents, with keys of their own; return their valid steps."""
    keys = np.stack([np.zeros(number), np.arange(number)], axis=1).astype(np.uint32)
    job = Job(keys, [config] * number, keys, 1, number, 0, config.num_updates, None)
    updates = steps = 0
    for chunk in population.train(job):
        updates += chunk.metrics.num_steps.shape[1]
        steps += int(np.sum(chunk.metrics.num_steps, dtype=np.int64))
        if updates == config.num_updates:  # what follows is their evaluation
            break
    return steps


def scale_devices(config: Config, devices: Sequence[int], seed: int, repeats: int) -> list[dict]:
    """Run `bench` with every number of CPU devices and return its row of the whole training."""
    rows = []
    for number in devices:
        with tempfile.TemporaryDirectory() as directory:
            out = Path(directory) / "bench.json"
            command = [
                *(sys.executable, "-m", "purejaxrl_reinforce", "bench"),
                *("--num-envs", str(config.num_envs), "--num-updates", str(config.num_updates)),
                *("--seed", str(seed), "--repeats", str(repeats), "--out", str(out)),
            ]
            environ = {**os.environ, "JAX_NUM_CPU_DEVICES": str(number)}
            subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
            result = json.loads(out.read_text())
        training = next(row for row in result["rows"] if row["name"] == TRAINING)
        whole = {name: result[name] for name in ("program_bytes", "compile_seconds")}
        rows.append({**training, **whole, "name": f"devices={number}", "devices": number})
    return rows


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw time and memory against lanes, and SPS against agents."""
    rows = result["rows"]
    figure = Figure(figsize=(11, 4.2))
    figure.suptitle(f"CartPole-v1 on {machine_name(result['machine'])}")
    time_axes, memory_axes, agent_axes = figure.subplots(1, 3)
    for kind in (BLOCKS, FULL):
        of_kind = [row for row in rows if row.get("kind") == kind]
        lanes = [row["num_envs"] for row in of_kind]
        time_axes.loglog(lanes, [1e3 * row["median"] for row in of_kind], label=NAMES[kind])
        memory_axes.loglog(lanes, [row["program_bytes"] / 2**20 for row in of_kind])
    time_axes.set(title="one update", xlabel="lanes", ylabel="milliseconds")
    memory_axes.set(title="peak memory of one update", xlabel="lanes", ylabel="MiB")
    for kind in (SWEEP, AT_ONCE):
        of_kind = [row for row in rows if row.get("agents_how") == kind]
        sps = [row["valid_steps"] / row["median"] / 1e6 for row in of_kind]
        agent_axes.semilogx([row["agents"] for row in of_kind], sps, label=NAMES[kind])
    (alone,) = (row for row in rows if row["name"] == RUN)
    sps = alone["valid_steps"] / alone["median"] / 1e6
    agent_axes.axhline(sps, label=NAMES[RUN], **REFERENCE)
    agent_axes.set(title="agents of a sweep", xlabel="agents", ylabel="million SPS")
    agent_axes.set_ylim(bottom=0)
    for axes in (time_axes, memory_axes, agent_axes):
        axes.xaxis.set_major_formatter("{x:,.0f}")
        if axes is not agent_axes:
            axes.yaxis.set_major_formatter("{x:,.0f}")
        if axes is not memory_axes:  # which has the lines of the first
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return figure


def table(result: dict[str, Any]) -> Table:
    """Return time and memory."""

    def cells(row: dict[str, Any]) -> list[str]:
        memory = f"{row['program_bytes'] / 2**20:,.1f}"
        per_step = 1e9 * row["median"] / row["valid_steps"]
        name = row["name"].removesuffix(
            how := row.get("kind") or row.get("agents_how") or row["name"]
        )
        return [
            name + NAMES.get(how, how),
            f"{1e3 * row['median']:,.1f}",
            f"{per_step:,.0f}",
            memory,
        ]

    columns = ["", "median, ms", "ns per valid step", "memory of the program, MiB"]
    return Table("time and memory", columns, [cells(row) for row in result["rows"]])


def main(
    lanes: tuple[int, ...] = (64, 256, 1024, 4096),
    agents: tuple[int, ...] = (1, 2, 4, 16, 64, 256),
    devices: tuple[int, ...] = (1, 2),
    device_lanes: int = 4096,
    num_updates: int = 30,
    seed: int = 0,
    repeats: int = 5,
    results: Path = RESULTS,
) -> None:
    """Measure scaling.

    Args:
        lanes: numbers of lanes.
        agents: numbers of agents.
        devices: numbers of CPU devices; left out on an accelerator.
        device_lanes: lanes of the training that they share.
        num_updates: of a training.
        seed: of all randomness.
        repeats: how often each thing is timed.
        results: directory for the result.
    """
    config = replace(preset("cartpole"), num_updates=num_updates)
    rows = scale_lanes(config, sorted(lanes), seed, repeats)
    rows += scale_agents(config, sorted(agents), repeats)
    # A second process finds no memory on an accelerator that this one holds.
    if jax.default_backend() == "cpu":
        shared = replace(config, num_envs=device_lanes)
        rows += scale_devices(shared, sorted(devices), seed, repeats)
    result = make_result("scaling", config, seed, rows, repeats=repeats, device_lanes=device_lanes)
    finish(results, "scaling", result, draw, table)


if __name__ == "__main__":
    run(main)
