"""Start of a command: what the seconds of `train` go to, from the first import to the last file.

    python benchmarks/startup.py

runs the default preset in processes of their own, in turn: with an empty compilation cache, again,
and again with another number of updates. Writes results/startup.json and .png. Only an idle
machine gives seconds that mean something; CPU seconds are shown as well.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from harness import RESULTS, Table, finish, run
from matplotlib.figure import Figure

from purejaxrl_reinforce import Config, preset
from purejaxrl_reinforce.bench.result_file import make_result, timed_row
from purejaxrl_reinforce.bench.timing import Timing
from purejaxrl_reinforce.figures.style import COLORS, styled

STAGES = ("imports", "tracing", "lowering", "compiling", "training", "writing", "exit")
HATCHES = ("", "//", "..", "xx", "", "\\\\", "")
CASES = {"first time": 0, "second time": 0, "other num_updates": 1}


class Process(NamedTuple):
    """Seconds that a process took, by the clock and of processors, and those of each stage."""

    wall: float
    cpu: float
    stages: dict[str, float]


def measured(config: Config, directory: Path, number: int) -> Process:
    """Train in a process of its own, whose compilation cache lies in `directory`."""
    script = Path(__file__).with_name("startup_process.py")
    sizes = ["--num-envs", str(config.num_envs), "--num-updates", str(config.num_updates)]
    options = ["train", "--quiet", "--run-dir", str(directory / f"run{number}"), *sizes]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(directory / "cache")}
    before, started = _cpu_seconds(), time.monotonic()
    done = subprocess.run(
        [sys.executable, str(script), str(started), *options],
        env=os.environ | cache, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    wall, cpu = time.monotonic() - started, _cpu_seconds() - before
    stages = json.loads(done.stdout)
    return Process(wall, cpu, stages | {"exit": wall - sum(stages.values())})


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row_of(name: str, processes: list[Process]) -> dict[str, Any]:
    """Return the row of one case, with the median of each stage."""
    return timed_row(
        name,
        Timing(tuple(p.wall for p in processes), 1),
        cpu_seconds=[p.cpu for p in processes],
        stages={
            stage: statistics.median(p.stages.get(stage, 0.0) for p in processes)
            for stage in STAGES
        },
    )


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw the stages of each case, one after the other."""
    rows = result["rows"]
    figure = Figure(figsize=(9, 3.4))
    axes = figure.subplots()
    names, left = [row["name"] for row in rows], [0.0] * len(rows)
    for i, stage in enumerate(STAGES):
        widths = [row["stages"][stage] for row in rows]
        style: Any = {"color": COLORS[i], "hatch": HATCHES[i], "edgecolor": "white"}
        axes.barh(names, widths, left=left, height=0.6, label=stage, **style)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for i, (row, end) in enumerate(zip(rows, left, strict=True)):
        axes.annotate(f"{row['median']:.1f} s", (end, i), (4, 0), textcoords="offset points",
                      verticalalignment="center")  # fmt: skip
    axes.set(xlabel="seconds (median of each stage)", xlim=(0, 1.15 * max(left)))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    figure.suptitle(
        f"CartPole-v1, {result['config']['num_updates']} updates: the whole command `train`"
    )
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def table(result: dict[str, Any]) -> Table:
    """Return the seconds of a whole command and of each of its stages."""
    rows = result["rows"]
    stages = [[stage, *(f"{row['stages'][stage]:.2f}" for row in rows)] for stage in STAGES]
    return Table(
        "startup",
        ["seconds", *CASES],
        [
            ["all", *(f"{row['median']:.2f}" for row in rows)],
            ["CPU", *(f"{statistics.median(row['cpu_seconds']):.2f}" for row in rows)],
            *stages,
        ],
    )


def main(
    num_envs: int = 64, num_updates: int = 100, repeats: int = 5, results: Path = RESULTS
) -> None:
    """Measure what the start of a command takes.

    Args:
        num_envs: lanes.
        num_updates: length of the run; the third process does one more.
        repeats: how often, each time from an empty cache.
        results: directory for the result.
    """
    config = replace(preset("cartpole"), num_envs=num_envs, num_updates=num_updates)
    processes: dict[str, list[Process]] = {name: [] for name in CASES}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as directory:
            for number, (name, more) in enumerate(CASES.items()):
                longer = replace(config, num_updates=num_updates + more)
                processes[name].append(measured(longer, Path(directory), number))
    rows = [row_of(name, done) for name, done in processes.items()]
    result = make_result("startup", config, 0, rows)
    finish(results, "startup", result, draw, table)


if __name__ == "__main__":
    run(main)
