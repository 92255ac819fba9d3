"""A hook of mkdocs: the board, a table of the results in benchmarks/board."""

import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from purejaxrl_reinforce.output.json_text import parse_json
from purejaxrl_reinforce.output.text import number

PAGE = "board.md"
RESULTS = Path(__file__).parents[1] / "benchmarks" / "board"

_PLACE = "<!-- board -->"
_RATES = ("environment", "rollout", "training")
_COLUMNS = (
    *("device", "cores or devices", "workload", *(f"{name}, million SPS" for name in _RATES)),
    *("seconds to solve", "solved, %", "joules per solved seed", "versions"),
    *("commit", "date", "result"),
)


def on_files(files: Any, config: Any) -> Any:
    """Add the results, which the table links to."""
    from mkdocs.structure.files import File

    for path in RESULTS.glob("*.json"):
        added = File.generated(config, f"benchmarks/board/{path.name}", abs_src_path=str(path))
        files.append(added)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page with the table."""
    return markdown.replace(_PLACE, board()) if page.file.src_uri == PAGE else markdown


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Return the page with a name on its table, by which pages/board.js finds it."""
    return html.replace("<table>", '<table id="board">', 1) if page.file.src_uri == PAGE else html


def board() -> str:
    """Return the table as Markdown: a workload after the other, its fastest training first."""
    found = [(path.name, parse_json(path.read_text())) for path in RESULTS.glob("*.json")]
    if not found:
        return "No result has been submitted yet."
    found.sort(key=lambda x: (x[1]["benchmark"], -_rates(x[1]).get("training", 0.0)))
    rows = [_COLUMNS, ["---"] * len(_COLUMNS), *(_cells(*x) for x in found)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _cells(name: str, result: dict[str, Any]) -> list[str]:
    """Return a row of the table."""
    machine, rates = result["machine"], _rates(result)
    on_cpu, commit = machine["backend"] == "cpu", result["commit"] or ""
    learning, energy = result["learning"], result["energy"] or {}
    joules = _figure(energy.get("joules_per_solved_seed"))
    texts = (
        machine["cpu"] if on_cpu else machine["device_kind"],
        str(machine["cores"] if on_cpu else machine["devices"]),
        result["benchmark"],
        *(f"{rates[x] / 1e6:.2f}" if x in rates else "" for x in _RATES),
        _figure(learning["seconds_to_solve"]["median"]),
        _figure(100 * learning["solved_share"]),
        joules and f"{joules} ({energy['source']})",
        ", ".join(f"{x} {result['versions'][x]}" for x in ("purejaxrl_reinforce", "jax")),
        commit[:7] + commit[40:],  # which may have changes
        result["date"][:10],
    )
    return [*map(_escaped, map(str, texts)), f"[JSON](../../benchmarks/board/{quote(name)})"]


def _rates(result: dict[str, Any]) -> dict[str, float]:
    return {row["name"]: row["sps"] for row in result["rows"] if "sps" in row}


def _figure(x: float | None) -> str:
    """Return a number, or nothing where there is none: where too few seeds solved the task."""
    return "" if x is None or math.isinf(x) else number(x, 3)


def _escaped(text: str) -> str:
    """Return text of others as Markdown that shows it as it is."""
    return re.sub(r"[^\w .,:@/()+-]", lambda match: f"&#{ord(match[0])};", text)
