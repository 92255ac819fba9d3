"""Text for people: values, labels, counts, tables."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from purejaxrl_reinforce.config import Config


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, the first column to the left and the numbers in the others to the right."""
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=not i)
    for row in rows:
        table.add_row(*row)
    # A pipe or a file has no width to fit into.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def show(value: Any) -> str:
    """Return a value as people read it: numbers with six digits or all, other values as words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1e5 <= abs(value) < 1e15 else f"{value:,.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(show(x) for x in value)
    return str(value)


def setting_label(config: Config, names: Sequence[str]) -> str:
    """Return the named fields as `policy_lr=0.01, hidden_sizes=64x64`."""
    return ", ".join(f"{name}={short_value(getattr(config, name))}" for name in names)


def short_value(value: Any) -> str:
    """Return a field's value without brackets or many digits: `64x64`, `0.00316228`."""
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def count(number: int, what: str) -> str:
    """Return `1 seed`, `1,024 seeds`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
