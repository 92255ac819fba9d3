"""Tables and figures of kept results, written anew from their JSON; nothing is measured.

    python benchmarks/documents.py
    python benchmarks/documents.py --figures

replaces what stands between `<!-- table: NAME -->` and `<!-- end -->` in the documents by the table
of results/NAME.json, with the commit, date and machine that it was measured on. The table `presets`
is of all their results, `workloads` of this machine's on the board, `phases` of two wide updates.
With `--figures`, results/NAME.png are drawn again, too.
"""

import importlib
import re
import statistics
from pathlib import Path
from typing import Any

from harness import RESULTS, ROOT, Table, run
from matplotlib.figure import Figure
from peers.protocol import NETWORKS
from presets import kept_results, table_of

from purejaxrl_reinforce.execution.machine import machine_name
from purejaxrl_reinforce.figures.style import save_figure
from purejaxrl_reinforce.output.json_text import json_value, parse_json

BOARD = RESULTS.parent / "board"
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "docs" / "pages" / "benchmark.md",
    ROOT / "docs" / "pages" / "presets.md",
)

Result = dict[str, Any]
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, results: Path = RESULTS) -> str:
    """Return the text of a document with its tables as the kept results have them."""

    def fill(match: re.Match[str]) -> str:
        name = match[2]
        if name == "presets":
            kept = kept_results(results)
            table = table_of(kept)
        elif name == "workloads":
            kept = _read(BOARD, *sorted(path.stem for path in BOARD.glob("epyc-2-cores-*")))
            table = table_of_workloads(kept)
        elif name == "phases":
            kept = _read(results, "wide", "wide-tanh")
            table = table_of_phases(kept)
        elif name == "speeds":
            kept = _read(results, "speedup", "peers", "startup", "cartpole", "sweeps")
            table = table_of_speeds(*kept)
        else:
            kept = _read(results, name)
            table = Table(*script_of(name).table(kept[0]))
        sources = dict.fromkeys(map(_source, kept))  # each once
        return f"{match[1]}{rows_of(table)}\n{' '.join(sources)}\n{match[3]}"

    return _TABLE.sub(fill, text)


def _read(folder: Path, *names: str) -> list[Result]:
    return [parse_json((folder / f"{name}.json").read_text()) for name in names]


def table_of_workloads(kept: list[Result]) -> Table:
    """Return rates and learning of standard workloads."""
    rates = ("environment", "rollout", "training")

    def cells(result: Result) -> list[str]:
        rows = {row["name"]: row for row in result["rows"]}
        found = result["learning"]
        seconds, steps = found["seconds_to_solve"], found["env_steps_to_solve"]
        return [
            result["benchmark"],
            *(f"{rows[name]['sps'] / 1e6:.2f}" for name in rates),
            f"{rows['training']['roofline_share']:.0%}",
            "{:.3f} ({:.3f} to {:.3f})".format(seconds["median"], *seconds["interval"]),
            f"{steps['median']:,.0f}",
            f"{sum(found['solved']):,} of {len(found['solved']):,}",
        ]

    columns = ["workload", *(f"{name}, million SPS" for name in rates)]
    columns += ["of the roofline", "seconds to 475", "steps to 475", "solved"]
    return Table("workloads", columns, [cells(result) for result in kept])


def table_of_phases(kept: list[Result]) -> Table:
    """Return the speed of each phase of results of `bench`, and how far it is from the peaks."""

    def cells(result: Result, row: Result) -> list[str]:
        config, steps = result["config"], row["valid_steps"]
        layers = {name: config[name] for name in ("hidden_sizes", "activation")}
        (network,) = (name for name, its in NETWORKS.items() if json_value(its) == layers)
        return [
            f"{network}, {row['name']}",
            f"{row['sps'] / 1e6:.2f} million",
            f"{row['flops'] / steps:,.0f}",
            f"{row['bytes'] / steps:,.0f}",
            f"{1e9 * row['median'] / steps:,.1f}",
            f"{row['fraction_of_matmul_peak']:.0%}",
            f"{row['roofline_share']:.0%}",
        ]

    columns = ["", "SPS", "FLOP per step", "bytes per step", "ns per step"]
    columns += ["of the product peak", "of the roofline"]
    rows = [cells(result, row) for result in kept for row in result["rows"]]
    return Table("phases", columns, rows)


def table_of_speeds(
    speedup: Result, peers: Result, startup: Result, cartpole: Result, sweeps: Result
) -> Table:
    """Return all speeds that the documents name for the default preset, the narrower first."""
    rows = {row["name"]: row["sps"] for row in speedup["rows"]}
    early, trained = (
        rows[f"64 ReLU, ours {name} lanes=64 steps=500"] for name in ("from scratch", "trained")
    )
    ours = [x for x in peers["runs"] if (x["peer"], x["network"]) == ("ours", "64 ReLU")]
    command = cartpole["mean_steps_of_a_run"] / startup["rows"][1]["median"]
    speeds = {
        "`speedup.py`, trained: updates in which every episode lasts 500 steps": trained,
        "`speedup.py`, early: the first 30 updates, of short episodes": early,
        "`peers/compare.py`: all 100 updates of one run": statistics.median(x["sps"] for x in ours),
        "`sweeps.py`: 1,024 seeds, each core one after the other": sweeps["rows"][0]["sps"],
        "`startup.py`: the whole command `train`, from launch to exit, with kept programs": command,
    }
    cells = [[name, f"{sps / 1e6:.2f} million"] for name, sps in speeds.items()]
    return Table("speeds", ["what is timed", "SPS"], cells)


def script_of(name: str) -> Any:
    """Return the module that measures a result, draws it and makes its table."""
    return importlib.import_module("peers.figure" if name == "peers" else name)


def rows_of(table: Table) -> str:
    """Return the table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _source(result: dict[str, Any]) -> str:
    """Return what a result was measured on, or that nothing was."""
    date = result["date"][:10]
    if result.get("benchmark") == "compile_for":
        return f"Compiled by jax {result['versions']['jax']}, not run; {date}."
    commit, where = result["commit"] or "of no commit", machine_name(result["machine"])
    earlier = {(run.get("commit") or commit)[:7] for run in result.get("runs", ())} - {commit[:7]}
    others = f" (other trainers at {', '.join(sorted(earlier))})" if earlier else ""
    return f"Measured at {commit[:7]}{others}, {date}, on {where}."


def figure_of(name: str, result: dict[str, Any]) -> Figure | None:
    """Return the figure of a result, None where its script draws none."""
    if result.get("benchmark") == "bench":
        return None
    script = script_of("presets" if "purpose" in result else name)
    draw = getattr(script, "draw", None)
    return None if draw is None else draw(result)


def main(figures: bool = False, results: Path = RESULTS) -> None:
    """Write the tables.

    Args:
        figures: draw the figures, too.
        results: directory of the results.
    """
    for path in DOCUMENTS:
        path.write_text(filled(path.read_text(), results))
    if figures:
        for path in sorted(results.glob("*.json")):
            figure = figure_of(path.stem, parse_json(path.read_text()))
            if figure is not None:
                save_figure(figure, path.with_suffix(".png"))


if __name__ == "__main__":
    run(main)
