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
import numpy as np
from harness import RESULTS, Table, finish, run
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.bench.compare import paired_ratio
from purejaxrl_reinforce.bench.result_file import make_result, timed_row
from purejaxrl_reinforce.bench.timing import Call, measure
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.signals import StopRequest
from purejaxrl_reinforce.figures.style import COLORS, REFERENCE, styled
from purejaxrl_reinforce.runs.host_loop import Hosting, HostLoop
from purejaxrl_reinforce.runs.reporter import Reporter
from purejaxrl_reinforce.runs.run_dir import RunDirectory

_DOTS: dict[str, Any] = {"linestyle": "none", "marker": "o"}
_MEDIAN: dict[str, Any] = {"linestyle": "none", "marker": "D"}
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


@styled()
def draw(result: dict[str, Any]) -> Figure:
    """Draw the share of time outside compiled code, and each run against the bare one in turn."""
    bare, *rows = result["rows"]
    names = [f"checkpoints:\n{row['name']}" for row in rows]
    figure = Figure(figsize=(9, 3.2))
    figure.suptitle("CartPole-v1: cost of metrics, log, checkpoints and figure")
    left, right = figure.subplots(1, 2, sharey=True)
    shares = [100 * row["host_share"] for row in rows]
    bars = left.barh(names, shares, height=0.5, color=COLORS[0])
    left.bar_label(bars, [f"{share:.1f}%" for share in shares], padding=4)
    left.set(xlabel="median share of a run outside compiled code, %", xlim=(0, 1.2 * max(shares)))
    for i, row in enumerate(rows):
        ratios = np.divide(row["samples"], bare["samples"])
        right.plot(ratios, [i + 0.15] * len(ratios), color=COLORS[0], **_DOTS)
        right.plot(row["interval"], [i - 0.15] * 2, color=COLORS[1], linestyle="-", marker="|")
        right.plot(row["times"], i - 0.15, color=COLORS[1], **_MEDIAN)
    right.axvline(1, label="bare", **REFERENCE)
    right.set(xlabel="seconds / seconds of bare training")
    right.invert_yaxis()
    for axes in (left, right):
        axes.grid(visible=False, axis="y")
    handles = [
        Line2D([], [], color=COLORS[0], **_DOTS, label="each run"),
        Line2D([], [], color=COLORS[1], marker="D", label="median, 95% interval"),
        Line2D([], [], label="bare training", **REFERENCE),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


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
    finish(results, "hosting", result, draw, table)


if __name__ == "__main__":
    run(main)
