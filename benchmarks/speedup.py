"""Speedup over the idiomatic JAX program, at the same batch and at its best one.

    python benchmarks/speedup.py

times both with every number of lanes and both networks, the package's (one hidden layer of 64
ReLUs) and the one that other libraries default to (two layers of 64, tanh), in turn in one process:
the first updates of ours, from scratch, when episodes are short; as many of a trained policy; each
with its lanes sharded over one CPU device per core; and a training of the idiomatic program as jax
runs it, with XLA's threads. That one's speed does not depend on its policy; it is tried with fewer
steps per update as well. SPS counts valid steps, see purejaxrl_reinforce/bench/against.py, which
`bench --against idiomatic` uses. Writes results/speedup.json and .png.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from harness import RESULTS, Table, finish, measured_rows, run
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from peers.protocol import NETWORKS

from purejaxrl_reinforce import Config, preset, train
from purejaxrl_reinforce.bench.idiomatic.against import (
    FIRST_UPDATES,
    first_updates,
    idiomatic,
    some_updates,
)
from purejaxrl_reinforce.bench.result_file import make_result
from purejaxrl_reinforce.bench.timing import Call, measure_peaks, paired_ratio
from purejaxrl_reinforce.execution.machine import machine_name
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.sharding import shard_state
from purejaxrl_reinforce.figures.style import styled

SCRATCH, TRAINED = "ours from scratch", "ours trained"
LONGEST_EPISODE = 500


def trained_updates(config: Config, updates: int, trained: Any, key: jax.Array) -> tuple[Call, int]:
    """Return a call that does some updates with `trained` parameters, and their steps."""
    # They stay as they are: Adam, which starts anew, would first take steps of full size.
    program = Program(replace(config, policy_lr=1e-9, baseline_lr=1e-9), key)
    state = shard_state(program.state._replace(params=trained), program.mesh)
    return some_updates(program, state, updates)


def measure_network(
    network: str,
    lanes: Sequence[int],
    short: Sequence[int],
    slots: int,
    key: jax.Array,
    repeats: int,
) -> list[dict[str, Any]]:
    """Return a row per program and batch; the idiomatic one takes about `slots` steps each."""
    calls: dict[str, tuple[Call, dict[str, Any]]] = {}
    layers = NETWORKS[network]
    base = replace(preset("cartpole"), **layers)
    trained = train(replace(base, num_updates=FIRST_UPDATES), key)[0].params
    for n in lanes:
        config = replace(base, num_envs=n)
        updates = min(100, max(10, slots // (n * LONGEST_EPISODE)))
        programs = {
            (SCRATCH, LONGEST_EPISODE): first_updates(config, key),
            (TRAINED, LONGEST_EPISODE): trained_updates(config, updates, trained, key),
        }
        for steps in (LONGEST_EPISODE, *short):
            updates = max(2, slots // (n * steps))
            batch = replace(config, num_steps=steps, num_updates=updates)
            programs["idiomatic", steps] = idiomatic(batch, key)
        for (program, steps), (call, valid_steps) in programs.items():
            name = f"{network}, {program} lanes={n} steps={steps}"
            facts = {"network": network, "program": program, "num_envs": n, "num_steps": steps}
            calls[name] = call, {**facts, "valid_steps": valid_steps}
    rows = {row["name"]: row for row in measured_rows(calls, repeats)}
    for row in rows.values():
        row["sps"] = row["valid_steps"] / row["median"]
        if row["program"] != "idiomatic":
            same = rows[f"{network}, idiomatic lanes={row['num_envs']} steps={LONGEST_EPISODE}"]
            per_step = same["valid_steps"] / row["valid_steps"]
            row["times_same_batch"] = [
                x / per_step for x in paired_ratio(same["samples"], row["samples"])
            ]
    return list(rows.values())


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw SPS against lanes, beside each other for the networks."""
    figure = Figure(figsize=(9, 4.6))
    figure.suptitle(f"CartPole-v1 on {machine_name(result['machine'])}")
    panels = figure.subplots(1, len(NETWORKS), squeeze=False, sharey=True)[0]
    for axes, network in zip(panels, NETWORKS, strict=True):
        rows = [row for row in result["rows"] if row["network"] == network]
        for program, steps in dict.fromkeys((r["program"], r["num_steps"]) for r in rows):
            of_line = [r for r in rows if (r["program"], r["num_steps"]) == (program, steps)]
            label = program.replace("ours from scratch", "this package, early").replace(
                "ours", "this package,"
            )
            if program == "idiomatic":
                label = f"idiomatic JAX, {steps} steps per lane and update"
            lanes = [row["num_envs"] for row in of_line]
            axes.plot(lanes, [row["sps"] / 1e6 for row in of_line], label=label)
        axes.set_xscale("log", base=2)
        axes.set_xticks(lanes, [f"{n:,}" for n in lanes])
        axes.set(title=network, xlabel="lanes", yscale="log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
    panels[0].set_ylabel("million valid steps per second")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def table(result: dict[str, Any]) -> Table:
    """Return the speed of both programs with every batch, and ours in times the other's."""
    rows = [row for row in result["rows"] if row["program"] == "idiomatic"]
    best = {network: max(r["sps"] for r in rows if r["network"] == network) for network in NETWORKS}
    by_batch = {
        (row["network"], row["program"], row["num_envs"]): row
        for row in result["rows"]
        if row["num_steps"] == LONGEST_EPISODE
    }

    def cells(network: str, lanes: int) -> list[str]:
        found = [by_batch[network, name, lanes] for name in ("idiomatic", SCRATCH, TRAINED)]
        times = ["{:.1f} ({:.1f} to {:.1f})".format(*row["times_same_batch"]) for row in found[1:]]
        speeds = [f"{row['sps'] / 1e6:.2f}" for row in found]
        return [
            f"{network}, {lanes:,}",
            speeds[0],
            *(x for pair in zip(speeds[1:], times, strict=True) for x in pair),
            f"{found[1]['sps'] / best[network]:.1f}",
        ]

    return Table(
        "million valid steps per second, CartPole-v1, 500 steps per lane and update",
        [
            "network, lanes",
            "idiomatic",
            "early",
            "speedup",
            "trained",
            "speedup",
            "early, vs. its best batch size",
        ],
        [
            cells(row["network"], row["num_envs"])
            for row in rows
            if row["num_steps"] == LONGEST_EPISODE
        ],
    )


def main(
    lanes: tuple[int, ...] = (64, 256, 1024, 4096),
    short: tuple[int, ...] = (32, 200),
    slots: int = 2_000_000,
    seed: int = 0,
    repeats: int = 5,
    results: Path = RESULTS,
) -> None:
    """Measure the speedup.

    Args:
        lanes: numbers of lanes.
        short: steps per update that the idiomatic program is tried with beside 500.
        slots: about how many steps a training of the idiomatic program takes.
        seed: of all randomness.
        repeats: how often each thing is timed.
        results: directory for the result.
    """
    key, rows = jax.random.key(seed), []
    for network in NETWORKS:
        rows += measure_network(network, sorted(lanes), short, slots, key, repeats)
    facts = {"repeats": repeats, "slots": slots, "peaks": measure_peaks()._asdict()}
    result = make_result("speedup", preset("cartpole"), seed, rows, **facts)
    finish(results, "speedup", result, draw, table)


if __name__ == "__main__":
    run(main)
