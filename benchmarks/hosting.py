"""Host cost: what metrics, log, checkpoints and the final figure add to a run.

    python benchmarks/hosting.py

trains with one compiled program, in turn: bare, chunk after chunk and nothing else; as `train`
does with its defaults; with a checkpoint every 5 seconds; and with one every second. Writes
results/hosting.json and .png.
"""

import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
from harness import RESULTS, run, save
from matplotlib.figure import Figure

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.bench.ratios import paired_ratio
from purejaxrl_reinforce.bench.result_file import make_result, timed_row
from purejaxrl_reinforce.bench.timing import Call, measure
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.signals import StopRequest
from purejaxrl_reinforce.output.text import print_table
from purejaxrl_reinforce.runs.host_loop import Hosting, HostLoop
from purejaxrl_reinforce.runs.reporter import Reporter
from purejaxrl_reinforce.runs.run_dir import RunDirectory

INTERVALS = {"defaults": Hosting().checkpoint_seconds, "every 5 s": 5.0, "every second": 1.0}


def bare(program: Program) -> None:
    """Train without doing anything else on the host."""
    for _ in program.run():
        pass


def hosted(program: Program, seconds: float) -> float:
    """Train into a temporary run directory; return the share of time outside compiled code."""
    with tempfile.TemporaryDirectory() as directory:
        started = time.perf_counter()
        run = RunDirectory(Path(directory) / "run", program.config, 0)
        run.create()
        options = Hosting(checkpoint_seconds=seconds)
        HostLoop(run, program, options, (), Reporter(), StopRequest()).train(program.state)
        run.close()
        return 1 - run.metrics.seconds / (time.perf_counter() - started)


def draw(rows: list[dict[str, Any]]) -> Figure:
    """Draw the ratios to the bare run, with their 95% intervals."""
    figure = Figure(figsize=(7, 3), layout="constrained")
    axes = figure.add_subplot()
    for i, row in enumerate(rows[1:]):
        low, high = row["interval"]
        axes.plot([low, high], [i, i], color="C0")
        axes.plot(row["times"], i, "o", color="C0")
    axes.axvline(1.03, color="C1", linestyle="--", label="3% more")
    axes.axvline(1, color="0.5", label="bare")
    axes.set(
        title="Cost of metrics and checkpoints",
        xlabel="seconds of the run / seconds of bare training",
        yticks=range(len(rows) - 1),
        yticklabels=[row["name"] for row in rows[1:]],
        ylim=(-0.5, len(rows) - 1.5),
    )
    figure.legend(loc="outside right upper")
    return figure


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
    save(results, "hosting", make_result("hosting", config, 0, rows), draw(rows))
    print_table(
        "Hosting",
        ("checkpoints", "seconds", "times bare (95% interval)", "outside compiled code"),
        [("none, bare", f"{rows[0]['median']:.2f}", "", "")]
        + [
            (
                row["name"],
                f"{row['median']:.2f}",
                "{:.3f} ({:.3f} to {:.3f})".format(row["times"], *row["interval"]),
                f"{row['host_share']:.1%}",
            )
            for row in rows[1:]
        ],
    )


if __name__ == "__main__":
    run(main)
