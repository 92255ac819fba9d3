"""Parts of a live panel: frame, curve, progress bar, figures."""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from rich.console import ConsoleOptions, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_HEIGHT = 4
_BARS = " ▁▂▃▄▅▆▇█"
_ASCII_BARS = " .:-=+*#@"
# Of a value's width: columns stay in place while values grow.
_LEAST, _GAP = 8, 3
# A terminal shows ^C beside the frame; in a line of its own it would shift what is drawn again.
_ECHO = 2


def inner_width(options: ConsoleOptions) -> int:
    """Return the width inside of a frame."""
    return options.max_width - _ECHO - 4


def frame(options: ConsoleOptions, title: str, *rows: RenderableType) -> Panel:
    """Return rows in a frame with a title."""
    return Panel(
        Group(*rows), title=Text(title, "not dim bold green"), title_align="left",
        border_style="dim", width=options.max_width - _ECHO,
    )  # fmt: skip


def heading(name: str, value: str, notes: Sequence[str], style: str = "") -> Text:
    """Return a line with the name and value of what matters most, and notes."""
    parts = (f"{name} ", "dim"), (value, f"bold {style}")
    return Text.assemble(*parts, *((f"   {note}", "dim") for note in notes if note))


def curve(values: np.ndarray, width: int, ascii_only: bool = False) -> Table:
    """Draw a sequence as bars of mean values, with the lowest and highest at the left.

    Args:
        values: one after the other; NaN: nothing is drawn.
        width: of all, in characters.
        ascii_only: whether the terminal has no other characters.
    """
    known = values[np.isfinite(values)]
    low, high = (known.min(), known.max()) if len(known) else (math.nan, math.nan)
    scale = [figure(high), *[""] * (_HEIGHT - 2), figure(low)]
    label_width = max(map(len, scale))
    means = _bucket_means(values, max(1, width - label_width - 1))
    # A value that is there has a bar, if a low one.
    levels = 1 + (means - low) / max(high - low, 1e-12) * (8 * _HEIGHT - 1)
    levels = np.where(np.isfinite(means), levels, 0).round().astype(int)
    bars = _ASCII_BARS if ascii_only else _BARS
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(justify="right", style="dim", width=label_width)
    table.add_column(no_wrap=True, style="cyan")
    for row, label in enumerate(scale):
        heights = np.clip(levels - 8 * (_HEIGHT - 1 - row), 0, 8)
        table.add_row(label, "".join(bars[height] for height in heights))
    return table


def _bucket_means(values: np.ndarray, width: int) -> np.ndarray:
    """Return the means of at most `width` equal parts of a sequence, NaN where nothing is known."""
    if len(values) <= width:
        return values
    starts = np.linspace(0, len(values), width, endpoint=False).astype(int)
    known = np.isfinite(values)
    counts = np.add.reduceat(known.astype(int), starts)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def progress_row(doing: str, done: int, total: int, remaining: str) -> Table:
    """Return one line: what is done, a bar, and the time left."""
    row = Table.grid(padding=(0, 2, 0, 0), expand=True)
    row.add_column(no_wrap=True)
    row.add_column(ratio=1)
    row.add_column(no_wrap=True, justify="right")
    bar = ProgressBar(total=total, completed=done, complete_style="cyan")
    row.add_row(Text(doing), bar, Text(remaining))
    return row


def figures(values: Mapping[str, str], width: int) -> Table:
    """Return names and values in as many columns as fit into a width, each read downwards."""
    cells = list(values.items())
    for height in range(1, len(cells) + 1):
        columns = [cells[i : i + height] for i in range(0, len(cells), height)]
        widths = ([max(map(len, texts)) for texts in zip(*c, strict=True)] for c in columns)
        sizes = [(name, max(value, _LEAST)) for name, value in widths]
        if sum(name + value + _GAP for name, value in sizes) <= width + _GAP:
            break
    table = Table.grid()
    for name, value in sizes:
        table.add_column(width=name + 1, style="dim")
        table.add_column(width=value + _GAP - 1)
    for row in itertools.zip_longest(*columns, fillvalue=("", "")):
        table.add_row(*map(Text, itertools.chain(*row)))
    return table


def figure(value: float) -> str:
    """Return a number in a few characters: `487.3`, `0.0123`, `1.2e-05`; `-` for none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:,.1f}" if 10 <= abs(value) < 1e7 else f"{value + 0.0:.3g}"
