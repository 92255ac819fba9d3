"""Speedup over the idiomatic JAX program, at the same batch and at its best one.

    python benchmarks/speedup.py

times both with every number of lanes, in turn in one process: updates of ours, of a trained
policy, with its lanes sharded over one CPU device per core; and a training of the idiomatic
program (peers/idiomatic.py) as jax runs it, with XLA's threads. That one's speed does not depend on
its policy; it is tried with fewer steps per update as well. SPS counts valid steps: all of the
idiomatic program's, those of living lanes of ours. Writes results/speedup.json and .png.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from compiled import compile_apart
from harness import RESULTS, run, save
from matplotlib.figure import Figure
from peers.idiomatic import Settings, make_train
from ratios import paired_ratio

from purejaxrl_reinforce import preset, train
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.bench.peaks import measure_peaks
from purejaxrl_reinforce.bench.result_file import make_result, timed_row
from purejaxrl_reinforce.bench.timing import Call, measure
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.sharding import shard_state
from purejaxrl_reinforce.output.plots import styled
from purejaxrl_reinforce.output.text import print_table

LONGEST_EPISODE = 500


def ours(num_envs: int, updates: int, params: Params, key: jax.Array) -> tuple[Call, int]:
    """Return a call that does some updates of a trained policy, and the valid steps they take."""
    program = Program(replace(preset("cartpole"), num_envs=num_envs), key)
    state = shard_state(program.state._replace(params=params), program.mesh)
    call = functools.partial(program.advance, state, updates)
    return call, int(np.asarray(call()[1].num_steps)[:updates].sum())


def idiomatic(num_envs: int, num_steps: int, num_updates: int, key: jax.Array) -> tuple[Call, int]:
    """Return a call that trains the idiomatic program, and the steps that it takes."""
    settings = Settings(num_envs=num_envs, num_steps=num_steps, num_updates=num_updates)
    program = compile_apart(make_train(settings), key)
    return functools.partial(program.call, key), num_envs * num_steps * num_updates


def measure_all(
    lanes: Sequence[int], short: int, slots: int, seed: int, repeats: int
) -> list[dict[str, Any]]:
    """Return a row per program and batch; the idiomatic one takes about `slots` steps each."""
    key = jax.random.key(seed)
    trained, _ = train(replace(preset("cartpole"), num_updates=30), key)
    calls, facts = {}, {}
    for n in lanes:
        updates = min(100, max(10, slots // (n * LONGEST_EPISODE)))
        programs = {("ours", LONGEST_EPISODE): ours(n, updates, trained.params, key)}
        for steps in (LONGEST_EPISODE, short):
            programs["idiomatic", steps] = idiomatic(n, steps, max(2, slots // (n * steps)), key)
        for (program, steps), (call, valid_steps) in programs.items():
            name = f"{program} lanes={n} steps={steps}"
            calls[name] = call
            facts[name] = {
                "program": program,
                "num_envs": n,
                "num_steps": steps,
                "valid_steps": valid_steps,
            }
    timings = measure(calls, repeats)
    rows = [
        timed_row(name, timings[name], sps=fact["valid_steps"] / timings[name].median, **fact)
        for name, fact in facts.items()
    ]
    best = max((row for row in rows if row["program"] == "idiomatic"), key=lambda row: row["sps"])
    for row in rows:
        if row["program"] == "ours":
            same = f"idiomatic lanes={row['num_envs']} steps={LONGEST_EPISODE}"
            for against, name in (("same_batch", same), ("its_best", best["name"])):
                per_step = facts[name]["valid_steps"] / row["valid_steps"]
                times = paired_ratio(timings[name].samples, timings[row["name"]].samples)
                row[f"times_{against}"] = [x / per_step for x in (times.value, *times[1:])]
    return rows


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw SPS against lanes."""
    rows = result["rows"]
    figure = Figure(figsize=(7, 4.3))
    axes = figure.add_subplot()
    lines = sorted({(row["program"], row["num_steps"]) for row in rows}, reverse=True)
    for program, steps in lines:
        of_line = [r for r in rows if (r["program"], r["num_steps"]) == (program, steps)]
        label = "this package" if program == "ours" else f"idiomatic, {steps} steps per update"
        lanes = [row["num_envs"] for row in of_line]
        axes.plot(lanes, [row["sps"] / 1e6 for row in of_line], label=label)
    axes.set_xscale("log", base=2)
    axes.set_xticks(lanes, [f"{n:,}" for n in lanes])
    axes.set(
        title="CartPole-v1, both in turn on the same machine",
        xlabel="lanes",
        ylabel="million valid steps per second",
    )
    axes.set_ylim(bottom=0)
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Print SPS and ratios."""

    def times(row: dict[str, Any], against: str) -> str:
        if row["program"] != "ours":
            return ""
        value, low, high = row[f"times_{against}"]
        return f"{value:.1f} ({low:.1f} to {high:.1f})"

    columns = ["", "median", "SPS", "times, same batch", "times, its best batch"]
    table = [
        [
            row["name"],
            f"{row['median']:.3f} s",
            f"{row['sps']:,.0f}",
            times(row, "same_batch"),
            times(row, "its_best"),
        ]
        for row in rows
    ]
    print_table("this package and the idiomatic program", columns, table)


def main(
    lanes: tuple[int, ...] = (64, 256, 1024, 4096),
    short: int = 200,
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
    rows = measure_all(sorted(lanes), short, slots, seed, repeats)
    facts = {"repeats": repeats, "slots": slots, "peaks": measure_peaks()._asdict()}
    result = make_result("speedup", preset("cartpole"), seed, rows, **facts)
    save(results, "speedup", result, draw(result))
    print_rows(rows)


if __name__ == "__main__":
    run(main)
