"""Host cost: what metrics, log, checkpoints and the final figure add to a run.

    python benchmarks/hosting.py

trains with one compiled program, in turn: bare, chunk after chunk and nothing else; as `train`
does with its defaults; with a checkpoint every 5 seconds; and with one every second. Writes
results/hosting.json.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from harness import RESULTS, Table, finish, run

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.bench.result_file import make_result, timed_row
from purejaxrl_reinforce.bench.timing import Call, measure, paired_ratio
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.signals import StopRequest
from purejaxrl_reinforce.runs.host_loop import Recorder, RunOptions, host_loop
from purejaxrl_reinforce.runs.reporter import Reporter
from purejaxrl_reinforce.runs.run_dir import RunDirectory

INTERVALS = {"defaults": RunOptions().checkpoint_seconds, "every 5 s": 5.0, "every second": 1.0}


def bare(program: Program) -> None:
    """Train without doing anything else on the host."""
    for _ in program.run():
        pass


def hosted(program: Program, seconds: float) -> float:
    """Train into a temporary run directory; return the share of time outside compiled code."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        run = RunDirectory(Path(directory) / "run", program.config, 0, "benchmark")
        run.create()
        options = RunOptions(checkpoint_seconds=seconds)
        recorder = Recorder(run, options, (), Reporter(), None)
        result = host_loop(program, program.state, recorder, StopRequest())
        return 1 - result.seconds / (time.perf_counter() - started)


def table(result: dict[str, Any]) -> Table:
    """Return what each kind of hosting takes."""
    bare, *others = result["rows"]

    def cells(row: dict[str, Any]) -> list[str]:
        times = "{:.2f} ({:.2f} to {:.2f})".format(row["times"], *row["interval"])
        return [row["name"], f"{row['median']:.1f}", times, f"{row['host_share']:.1%}"]

    return Table(
        "hosting",
        ["checkpoints", "seconds", "times bare (95%)", "outside compiled code"],
        [["none, bare", f"{bare['median']:.1f}", "", ""], *map(cells, others)],
    )


def main(num_updates: int = 5_000, repeats: int = 5, results: Path = RESULTS) -> None:
    """Measure host cost.

    Args:
        num_updates: length of each run; 5,000 take half a minute on two CPU cores.
        repeats: runs of each kind.
        results: directory for the result.
    """
    config = replace(preset("cartpole"), num_updates=num_updates)
    program = Program(config, jax.random.key(0))
    calls: dict[str, Call] = {"bare": lambda: bare(program)}
    shares: dict[str, list[float]] = {name: [] for name in INTERVALS}

    def call(name: str, seconds: float) -> Call:
        return lambda: shares[name].append(hosted(program, seconds))

    calls |= {name: call(name, seconds) for name, seconds in INTERVALS.items()}
    timings = measure(calls, repeats)
    rows = [timed_row("bare", timings["bare"])]
    for name in INTERVALS:
        times = paired_ratio(timings[name].samples, timings["bare"].samples)
        facts = {
            "times": times.value,
            "interval": [times.low, times.high],
            "host_share": statistics.median(shares[name][-repeats:]),
        }
        rows.append(timed_row(name, timings[name], **facts))
    result = make_result("hosting", config, 0, rows)
    finish(results, "hosting", result, None, table)


if __name__ == "__main__":
    run(main)
