"""Text for people: values, labels, counts, tables."""

import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from purejaxrl_reinforce.config import Config, get_field


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table, the first column to the left and the numbers in the others to the right."""
    table = Table(title=Text(printable(title)), title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left", no_wrap=not i)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    # A pipe or a file has no width to fit into.
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def printable(text: str) -> str:
    """Return text of others without control characters, which a terminal would obey."""
    return "".join(x if x.isprintable() else "?" for x in text)


def number(x: Any, digits: int = 4) -> str:
    """Return a number with so many digits, or all before the point: `12,345`, `487.3`, `1.2e-05`.

    Args:
        x: a number, or an array of no dimensions; infinities and NaN are `inf`, `-inf`, `nan`.
    """
    x = float(x) + 0.0  # never -0
    if 10**digits - 0.5 <= abs(x) < 1e15:
        return f"{x:,.0f}"
    return f"{x:,.{digits}g}"


def show(value: Any) -> str:
    """Return a value as people read it: numbers with six digits or all, other values as words."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return number(value, 6)
    if isinstance(value, (list, tuple)):
        return ", ".join(show(x) for x in value)
    return str(value)


def setting_labels(configs: Sequence[Config], names: Sequence[str]) -> list[str]:
    """Return the named fields of each as `policy_lr=0.003162, hidden_sizes=64x64`."""
    columns = [short_values([get_field(config, name) for config in configs]) for name in names]
    named = zip(names, columns, strict=True)
    texts = [[f"{name}={value}" for value in column] for name, column in named]
    return [", ".join(column[i] for column in texts) for i in range(len(configs))]


def short_values(values: Sequence[Any]) -> list[str]:
    """Return a field's values with four digits, or as many as tell different ones apart."""
    for digits in range(4, 18):
        texts = [short_value(value, digits) for value in values]
        if len(set(texts)) == len(set(values)):
            break
    return texts


def short_value(value: Any, digits: int = 4) -> str:
    """Return a field's value without brackets or many digits: `64x64`, `0.003162`."""
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    return number(value, digits) if isinstance(value, float) else str(value)


def count(number: int, what: str) -> str:
    """Return `1 seed`, `1,024 seeds`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
