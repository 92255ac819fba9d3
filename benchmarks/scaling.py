"""How do time and memory grow with lanes, with seeds and with devices?

    python benchmarks/scaling.py

times one update of the same trained policy with every number of lanes, with the gradient
accumulated over blocks and, for comparison, taken over the whole batch at once; the training of
several seeds in one program (`vmap`); and `bench` in a process of its own for every number of CPU
devices, because jax has to know it before it starts. Writes results/scaling.json and .png.
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
import tyro
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from purejaxrl_reinforce import (
    Config,
    Metrics,
    TrainState,
    environment,
    init,
    preset,
    step,
    train,
)
from purejaxrl_reinforce.bench import TRAINING
from purejaxrl_reinforce.memory import free_bytes
from purejaxrl_reinforce.reinforce import collect, steps_per_update
from purejaxrl_reinforce.report import (
    make_report,
    print_table,
    run_script,
    timed_row,
    write_report,
)
from purejaxrl_reinforce.sharding import LANES, SAME, STATE, lane_mesh, place, shard_lanes
from purejaxrl_reinforce.timing import Compiled, compile_apart, measure

RESULTS = Path(__file__).parent / "results"
BLOCKS, FULL = "in blocks", "full batch"


def scale_lanes(config: Config, lanes: Sequence[int], seed: int, repeats: int) -> list[dict]:
    """Time one update of the same policy with every number of lanes, in blocks and as a whole."""
    key = jax.random.key(seed)
    trained, _ = train(config, key)
    halfway = jnp.int32(config.num_updates // 2)
    longest = steps_per_update(config, environment.make(config.env))
    programs: dict[str, Compiled] = {}
    calls, facts = {}, {}
    for num_envs in lanes:
        for kind, block_rows in ((BLOCKS, None), (FULL, longest * num_envs)):
            name = f"lanes={num_envs} {kind}"
            wider = replace(config, num_envs=num_envs, block_rows=block_rows)
            mesh = lane_mesh(num_envs, jax.local_devices())
            learned = {"params": trained.params, "opt_state": trained.opt_state, "update": halfway}
            state = place(init(wider, key)._replace(**learned), mesh)
            sharded = shard_lanes(_update, mesh, (SAME, STATE), (STATE, SAME))
            programs[name] = compile_apart(sharded, wider, state)
            num_bytes = programs[name].memory_bytes * mesh.size
            trajectory = jax.eval_shape(collect, wider, state)[2]
            facts[name] = {
                "kind": kind,
                "num_envs": num_envs,
                "program_bytes": num_bytes,
                "trajectory_bytes": sum(
                    x.size * x.dtype.itemsize for x in jax.tree.leaves(trajectory)
                ),
                "compile_seconds": programs[name].seconds,
            }
            # A batch that does not fit is reported with the memory it would take, untimed.
            if num_bytes < free_bytes():
                calls[name] = functools.partial(programs[name].call, wider, state)
                facts[name]["valid_steps"] = int(calls[name]()[1].num_steps)
    timings = measure(calls, repeats)
    return [
        timed_row(name, timings[name], **fact) if name in timings else {"name": name, **fact}
        for name, fact in facts.items()
    ]


def _update(config: Config, state: TrainState) -> tuple[TrainState, Metrics]:
    return step(config, state, LANES)


def scale_seeds(config: Config, seeds: Sequence[int], repeats: int) -> list[dict]:
    """Time the training of several seeds at once."""
    calls, facts = {}, {}
    for number in seeds:
        keys = jax.vmap(jax.random.key)(jnp.arange(number))
        program = compile_apart(jax.vmap(train, in_axes=(None, 0)), config, keys)
        name = f"seeds={number}"
        calls[name] = functools.partial(program.call, config, keys)
        facts[name] = {
            "seeds": number,
            "program_bytes": program.memory_bytes,
            "compile_seconds": program.seconds,
            "valid_steps": int(calls[name]()[1].num_steps.sum()),
        }
    timings = measure(calls, repeats)
    return [timed_row(name, timings[name], **fact) for name, fact in facts.items()]


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
            report = json.loads(out.read_text())
        training = next(row for row in report["rows"] if row["name"] == TRAINING)
        rows.append(
            {
                **training,
                "name": f"devices={number}",
                "devices": report["machine"]["devices"],
                "program_bytes": report["program_bytes"],
                "compile_seconds": report["compile_seconds"],
            }
        )
    return rows


def plot(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Draw time and memory against lanes, time against seeds, SPS against devices."""
    figure = Figure(figsize=(10, 7.5), layout="constrained")
    figure.suptitle("CartPole-v1: how cost grows")
    (time_axes, memory_axes), (seed_axes, device_axes) = figure.subplots(2, 2)
    for kind in (BLOCKS, FULL):
        of_kind = [row for row in rows if row.get("kind") == kind]
        timed = [row for row in of_kind if "median" in row]
        lanes = [row["num_envs"] for row in timed]
        time_axes.plot(lanes, [1e3 * row["median"] for row in timed], "o-", label=kind)
        lanes = [row["num_envs"] for row in of_kind]
        memory_axes.plot(lanes, [row["program_bytes"] / 2**20 for row in of_kind], "o-", label=kind)
    recorded = [row["trajectory_bytes"] / 2**20 for row in of_kind]
    memory_axes.plot(lanes, recorded, "k--", label="the recorded trajectory alone")
    _logarithmic(time_axes, lanes)
    time_axes.set(title="one update", xlabel="lanes", ylabel="milliseconds")
    _logarithmic(memory_axes, lanes)
    memory_axes.set(title="peak memory of one update", xlabel="lanes", ylabel="MiB")
    by_seeds = [row for row in rows if "seeds" in row]
    seeds = [row["seeds"] for row in by_seeds]
    seed_axes.plot(seeds, [row["median"] for row in by_seeds], "o-", label="measured")
    linear = [by_seeds[0]["median"] * n / seeds[0] for n in seeds]
    seed_axes.plot(seeds, linear, "k--", label="one after the other")
    _logarithmic(seed_axes, seeds)
    seed_axes.set(title="seeds trained at once", xlabel="seeds", ylabel="seconds")
    by_devices = [row for row in rows if "devices" in row]
    device_axes.set_visible(bool(by_devices))
    bars = device_axes.bar(
        [str(row["devices"]) for row in by_devices], [row["sps"] / 1e6 for row in by_devices]
    )
    device_axes.bar_label(bars, fmt="{:.2f}", padding=3)
    device_axes.margins(y=0.15)  # room for the labels
    device_axes.set(title="training", xlabel="CPU devices", ylabel="million SPS")
    for axes in (time_axes, memory_axes, seed_axes):
        axes.legend(loc="upper left")
    figure.savefig(path, dpi=150)


def _logarithmic(axes: Axes, x: Sequence[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(top=8 * axes.get_ylim()[1])  # room for the legend
    axes.set_xticks(list(x), [f"{n:,}" for n in x], minor=False)
    axes.grid(alpha=0.3)


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print time and memory."""
    print_table(
        "time and memory",
        ["", "median", "valid steps", "ns per step", "memory of the program"],
        [
            [
                row["name"],
                f"{1e3 * row['median']:,.2f} ms" if "median" in row else "does not fit",
                f"{row['valid_steps']:,}" if "median" in row else "",
                f"{1e9 * row['median'] / row['valid_steps']:,.1f}" if "median" in row else "",
                f"{row['program_bytes'] / 2**20:,.1f} MiB",
            ]
            for row in rows
        ],
    )


def main(
    lanes: tuple[int, ...] = (64, 256, 1024, 4096, 16_384),
    seeds: tuple[int, ...] = (1, 2, 4, 8, 16),
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
        seeds: numbers of seeds trained at once.
        devices: numbers of CPU devices; left out on an accelerator.
        device_lanes: lanes of the training that they share.
        num_updates: of a training.
        seed: of all randomness.
        repeats: how often each thing is timed.
        results: directory for the results.
    """
    config = replace(preset("cartpole"), num_updates=num_updates)
    rows = scale_lanes(config, sorted(lanes), seed, repeats)
    rows += scale_seeds(config, sorted(seeds), repeats)
    # A second process finds no memory on an accelerator that this one holds.
    if jax.default_backend() == "cpu":
        shared = replace(config, num_envs=device_lanes)
        rows += scale_devices(shared, sorted(devices), seed, repeats)
    report = make_report("scaling", config, seed, rows, repeats=repeats, device_lanes=device_lanes)
    write_report(results / "scaling.json", report)
    plot(results / "scaling.png", rows)
    print_rows(rows)


if __name__ == "__main__":
    sys.exit(run_script(lambda: tyro.cli(main)))
