"""Table of the summary for the terminal."""

from typing import Any

from rich import box
from rich.table import Table


def make_table(summary: list[dict[str, Any]]) -> Table:
    """Return one line per entry: medians over the seeds, with least and most where it matters."""
    table = Table(title="CartPole-v1: medians over seeds (least to most)", box=box.SIMPLE_HEAD)
    table.add_column("peer, batch")
    columns = ("envs x steps", "steps/s", "ours: times as fast", "solved", "solve s")
    for name in (*columns, "times ours", "solve steps", "compile s", "final return"):
        table.add_column(name, justify="right")
    for row in summary:
        table.add_row(row["entry"], *_cells(row))
    return table


def _cells(row: dict[str, Any]) -> list[str]:
    if row["failed"] == row["runs"]:
        return ["", "failed", "", f"0/{row['runs']}"]
    batch = row["batch"]
    return [
        f"{batch['num_envs']} x {batch['num_steps']}",
        _number(row["sps"]["median"], ","),
        _ratio(row["our_speed_over_its"]),
        f"{row['solved']}/{row['runs']}",
        _number(row["solved_seconds"]["median"], ".2f"),
        _ratio(row["its_solving_time_over_ours"]),
        _number(row["solved_env_steps"]["median"], ","),
        _number(row["compile_seconds"]["median"], ".1f"),
        _number(row["evaluation"]["median"], ".1f"),
    ]


def _ratio(ratio: dict[str, float] | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio['of_medians']:.3g} ({ratio['min']:.3g} to {ratio['max']:.3g})"


def _number(value: float | None, style: str) -> str:
    if value is None:
        return "never"
    return format(round(value) if style == "," else value, style)
