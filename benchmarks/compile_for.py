"""What does the compiler say about an update on devices that are not here?

    pip install -e '.[compile]'
    python benchmarks/compile_for.py

compiles an update for an H100, an A100, a TPU v5e and a CPU, and counts launches, graphs, host
synchronizations and bytes of each phase, if every episode lasts as long as it may. Nothing is run:
no figure here is a time. Writes results/compile_for.json, which keeps the rows of other cases.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from harness import RESULTS, Table, run

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.bench.compile_for import CompiledUpdate, compile_for
from purejaxrl_reinforce.bench.result_file import make_result, write_result
from purejaxrl_reinforce.config import Engine
from purejaxrl_reinforce.execution.machine import describe_commit
from purejaxrl_reinforce.output.text import print_table


class Case(NamedTuple):
    """A preset with a number of lanes, for some devices and agents."""

    preset: str
    num_envs: int
    target: str
    num_devices: int = 1
    num_agents: int = 1
    engine: Engine = "xla"

    @property
    def name(self) -> str:
        """What the results call it."""
        agents = f" agents={self.num_agents}" if self.num_agents > 1 else ""
        kernel = "" if self.engine == "xla" else f" engine={self.engine}"
        of = f"{self.preset} lanes={self.num_envs}{agents}"
        return f"{of} {self.target} x {self.num_devices}{kernel}"


ON_H100 = (
    Case("cartpole", 64, "h100"),
    Case("cartpole", 4_096, "h100"),
    Case("throughput", 65_536, "h100"),
    Case("classic", 1, "h100"),
    Case("cartpole", 64, "h100", num_agents=64),
    Case("cartpole", 64, "h100", num_agents=2_048),
    Case("throughput", 65_536, "h100", num_devices=4),
)
CASES = (
    *ON_H100,
    *(case._replace(engine="kernel") for case in ON_H100),
    Case("throughput", 1_048_576, "h100", engine="kernel"),
    Case("throughput", 65_536, "a100"),
    Case("cartpole", 4_096, "v5e"),
    Case("throughput", 65_536, "v5e", num_devices=4),
    Case("cartpole", 64, "cpu"),
    Case("throughput", 65_536, "cpu", num_devices=2),
)

PHASES = ("rollout", "targets", "gradient")
WHOLE = ("launches", "bytes", "copies", "graphs", "synchronizations")


def row(case: Case, update: CompiledUpdate) -> dict[str, Any]:
    """Return what the results hold of a compiled update, and at which commit it was compiled."""
    totals = {what: update.total(what) for what in WHOLE}
    commit = describe_commit()
    return {"name": case.name, **case._asdict(), **update._asdict(), **totals, "commit": commit}


def table(result: dict[str, Any]) -> Table:
    """Return counts per update of one device, those of phases with the MB that they move."""
    columns = [
        "preset, lanes, device", "launches", "MB moved", *PHASES, "rest", "graphs", "host waits",
        "collectives", "MB of temporaries", "lanes that fit", "commit",
    ]  # fmt: skip
    return Table("an update, compiled and not run", columns, [_cells(x) for x in result["rows"]])


def _cells(row: dict[str, Any]) -> list[str]:
    phases = [{what: row["phases"][name][what] for what in WHOLE[:2]} for name in PHASES]
    rest = {what: row[what] - sum(x[what] for x in phases) for what in WHOLE[:2]}
    lanes = row["largest_num_envs"]
    return [
        row["name"],
        f"{row['launches']:,}",
        f"{row['bytes'] / 1e6:,.1f}",
        *(f"{x['launches']:,}; {x['bytes'] / 1e6:,.1f}" for x in (*phases, rest)),
        *(f"{row[what]:,}" for what in ("graphs", "synchronizations", "collectives")),
        f"{row['memory']['temporaries'] / 1e6:,.1f}",
        "" if lanes is None else f"{lanes:,}",
        row["commit"][:7],
    ]


def main(cases: tuple[int, ...] = tuple(range(len(CASES))), results: Path = RESULTS) -> None:
    """Compile and count.

    Args:
        cases: numbers of those to compile, from 0.
        results: directory for the results.
    """
    path = results / "compile_for.json"
    rows = {x["name"]: x for x in json.loads(path.read_text())["rows"]} if path.exists() else {}
    for case in (CASES[i] for i in cases):
        config = replace(preset(case.preset), num_envs=case.num_envs, engine=case.engine)
        update = compile_for(config, case.target, case.num_devices, case.num_agents)
        rows[case.name] = row(case, update)
        ordered = [rows[x.name] for x in CASES if x.name in rows]
        # After each of them, for compiling them all takes long.
        result = make_result("compile_for", preset("cartpole"), 0, ordered)
        write_result(path, result)
    print_table(*table(result))


if __name__ == "__main__":
    run(main)
