"""Tables of kept results in the documents, written anew from their JSON.

    python benchmarks/documents.py

replaces what stands between `<!-- table: NAME -->` and `<!-- end -->` by the table of
results/NAME.json, with the commit, date and machine that it was measured on. The table `presets` is
of all their results, `learning` of those of `cartpole` and `classic` alone.
"""

import importlib
import re
from pathlib import Path
from typing import Any

from harness import RESULTS, Table, run
from presets import table_of_all, table_of_learning

from purejaxrl_reinforce.output.json_text import parse_json

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "docs" / "pages" / "presets.md",
)

# These name the commit of each preset themselves.
_OF_PRESETS = {"presets": table_of_all, "learning": table_of_learning}
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, results: Path = RESULTS) -> str:
    """Return the text of a document with its tables as the kept results have them."""

    def table(match: re.Match[str]) -> str:
        name = match[2]
        if name in _OF_PRESETS:
            return match[1] + rows_of(_OF_PRESETS[name](results)) + match[3]
        result = parse_json((results / f"{name}.json").read_text())
        module = importlib.import_module("peers.table" if name == "peers" else name)
        return match[1] + markdown(Table(*module.table(result)), result) + match[3]

    return _TABLE.sub(table, text)


def markdown(table: Table, result: dict[str, Any]) -> str:
    """Return the table in Markdown, and a line that says where its figures come from."""
    return f"{rows_of(table)}\n{_source(result)}\n"


def rows_of(table: Table) -> str:
    """Return the table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _source(result: dict[str, Any]) -> str:
    """Return what a result was measured on, or that nothing was."""
    date = result["date"][:10]
    if result.get("benchmark") == "compile_for":
        return f"Compiled by jax {result['versions']['jax']}, not run; {date}."
    machine, commit = result["machine"], result["commit"] or "of no commit"
    cores = f"{machine['cores']} cores of {machine['cpu']}"
    where = machine["device_kind"] if machine["backend"] != "cpu" else cores
    earlier = {(run.get("commit") or commit)[:7] for run in result.get("runs", ())} - {commit[:7]}
    others = f" (other trainers at {', '.join(sorted(earlier))})" if earlier else ""
    return f"Measured at {commit[:7]}{others}, {date}, on {where}."


def main() -> None:
    """Write the tables."""
    for path in DOCUMENTS:
        path.write_text(filled(path.read_text()))


if __name__ == "__main__":
    run(main)
