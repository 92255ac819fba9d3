"""Stages of cases, run within a budget of time; what fails or is not reached is named."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from purejaxrl_reinforce import preset
from purejaxrl_reinforce.bench.result_file import make_result, write_result

Row = dict[str, Any]
# Measures something; returns rows with a `name`.
Case = Callable[[], list[Row]]


class Stage(NamedTuple):
    """Cases that answer one question, by name."""

    name: str
    question: str
    cases: Mapping[str, Case]


def run_stages(
    stages: Sequence[Stage], seconds: float, write: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Run the cases of each stage in order while there is time, and write after each stage.

    Returns:
        By stage: question, seconds, rows, and the names of cases that failed (with the reason) or
        were not reached.
    """
    deadline = time.monotonic() + seconds
    results: dict[str, Any] = {}
    for stage in stages:
        started = time.monotonic()
        results[stage.name] = result = {
            "question": stage.question,
            "rows": [],
            "failed": {},
            "not_reached": [],
        }
        for name, case in stage.cases.items():
            if time.monotonic() >= deadline:
                result["not_reached"].append(name)
                continue
            try:
                result["rows"] += [{"case": name, **row} for row in case()]
            except Exception as error:
                result["failed"][name] = one_line(error)
        result["seconds"] = time.monotonic() - started
        write(results)
    return results


def one_line(error: BaseException) -> str:
    """Return what an error says, in one line of at most 300 characters."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]


def write_report(directory: Path, stages: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """Write accelerator.json and accelerator.md; return what the first holds."""
    timed = [
        {**row, "name": f"{name}: {row['case']}: {row['name']}"}
        for name, stage in stages.items()
        for row in stage["rows"]
        if "samples" in row
    ]
    config = preset("cartpole")
    result = make_result("accelerator", config, 0, timed, how="measured", stages=stages, **facts)
    write_result(directory / "accelerator.json", result)
    (directory / "accelerator.md").write_text(markdown(result))
    return result


def markdown(result: Mapping[str, Any]) -> str:
    """Return a result as text: where it was measured, and a table for each stage."""
    machine, versions = result["machine"], result["versions"]
    where = (
        f"Measured on {machine['devices']} x {machine['device_kind']} ({machine['backend']}),"
        f" {result['date']}, commit {result['commit']}, jax {versions['jax']}, Python"
        f" {versions['python']}; size {result['size']}."
    )
    parts = [f"# accelerator.py\n\n{where}\n"]
    for name, stage in result["stages"].items():
        parts.append(f"\n## {name}: {stage['question']}\n\n{_table(stage['rows'])}")
        parts += [f"\nFailed: {case}: {why}\n" for case, why in stage["failed"].items()]
        if stage["not_reached"]:
            parts.append(f"\nNot reached: {', '.join(stage['not_reached'])}\n")
    return "".join(parts)


def _table(rows: Sequence[Row]) -> str:
    columns = dict.fromkeys(name for row in rows for name in row if name not in _NOT_IN_TABLES)
    if not rows:
        return ""
    lines = [list(columns), ["---"] * len(columns)]
    lines += [[_text(row.get(name)) for name in columns] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


_NOT_IN_TABLES = ("samples", "min", "calls_per_sample")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1e5 else f"{value:,.4g}"
    if isinstance(value, (list, tuple)):
        return " to ".join(map(_text, value))
    return f"{value:,}" if type(value) is int else str(value)
