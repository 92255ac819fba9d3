"""Start of a command: what the seconds of `train` go to, from the first import to the last file.

    python benchmarks/startup.py

runs the default preset in processes of their own, in turn: with an empty compilation cache, again,
and again with another number of updates. Writes results/startup.json. Only an idle machine gives
seconds that mean something; CPU seconds are shown as well. Imports end where jax first traces
something, or loads programs that were kept whole; writing is what is left of the command, mostly
checkpoints and the picture.
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

from purejaxrl_reinforce import Config, load_run, preset
from purejaxrl_reinforce.bench.result_file import make_result, timed_row
from purejaxrl_reinforce.bench.timing import Timing

STAGES = ("imports", "tracing", "lowering", "compiling", "loading", "training", "writing", "exit")
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
    run_dir = directory / f"run{number}"
    options = ["train", "--quiet", "--run-dir", str(run_dir), *sizes]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(directory / "cache")}
    before, started = _cpu_seconds(), time.monotonic()
    done = subprocess.run(
        [sys.executable, str(script), str(started), *options],
        env=os.environ | cache, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    wall, cpu = time.monotonic() - started, _cpu_seconds() - before
    stages = json.loads(done.stdout.splitlines()[-1])
    end = stages.pop("end")
    stages["training"] = float(load_run(run_dir).metrics["seconds"][-1])
    stages |= {"writing": end - sum(stages.values()), "exit": wall - end}
    return Process(wall, cpu, stages)


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


def table(result: dict[str, Any]) -> Table:
    """Return the seconds of a whole command and of each of its stages."""
    rows = result["rows"]
    known = [stage for stage in STAGES if stage in rows[0]["stages"]]
    stages = [[stage, *(f"{row['stages'][stage]:.2f}" for row in rows)] for stage in known]
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
    finish(results, "startup", result, None, table)


if __name__ == "__main__":
    run(main)
