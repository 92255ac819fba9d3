"""Table of the comparison, for the terminal and the documents."""

from typing import Any


def table(result: dict[str, Any]) -> tuple[str, list[str], list[list[str]]]:
    """Return the title, the columns and a row per entry: medians over the seeds."""
    columns = ["peer (network, batch)", "algorithm", "solved", "seconds to solve, all included"]
    columns += ["training alone", "steps to solve", "SPS", "times ours"]
    return "CartPole-v1: medians over seeds", columns, [_cells(row) for row in result["summary"]]


def _cells(row: dict[str, Any]) -> list[str]:
    solved = f"{row['solved']} of {row['runs']}"
    if row["failed"] == row["runs"]:
        return [f"{row['title']} ({row['network']})", "failed", solved, *[""] * 5]
    batch, seconds = row["batch"], row["solved_total_seconds"]["median"]
    ratio = row["its_solving_time_over_ours"] if seconds is not None else None
    return [
        f"{row['title']} ({row['network']}, {batch['num_envs']} x {batch['num_steps']})",
        row["algorithm"],
        solved,
        _number(seconds, ".1f"),
        _number(row["solved_seconds"]["median"], ".2f"),
        _number(row["solved_env_steps"]["median"], ",.0f"),
        _number(row["sps"]["median"], ",.0f"),
        f"{ratio['of_medians']:.3g}" if ratio else "",
    ]


def _number(value: float | None, style: str) -> str:
    """Return a number, or nothing for a median that half of the seeds did not reach."""
    return "" if value is None else format(value, style)
