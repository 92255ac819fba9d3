"""The ranking of a sweep's settings, as a terminal and a page show it."""

import re
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from purejaxrl_reinforce.output.text import count, number
from purejaxrl_reinforce.statistics import MIN_SEEDS, Interval, Quartiles
from purejaxrl_reinforce.sweeps.summary import LEVEL, Summary, by_env
from purejaxrl_reinforce.tasks import THRESHOLDS

# More rows than this are not read on a terminal.
_MOST_ROWS = 20
# Letters that 80 columns have for a field beside the widest numbers.
_FIELD_WIDTH = 18

RANKING_HEADINGS = (
    "no.", "setting", "greedy return\nIQM", "median\nworst", "solved", "updates\nto solve",
    "env steps\nto solve",
)  # fmt: skip


def ranking_view(summaries: Sequence[Summary]) -> Group:
    """Return the ranking of each environment for a terminal of 80 columns or more."""
    return Group(*(part for ranked in by_env(summaries).values() for part in (_table(ranked), "")))


def _table(ranked: Sequence[Summary]) -> Table:
    title = (
        f"{ranked[0].env}, {count(ranked[0].num_seeds, 'seed')}, {count(len(ranked), 'setting')}"
    )
    title += ", the best first" if len(ranked) > 1 else ""
    caption = explain_ranking(ranked)
    if len(ranked) > _MOST_ROWS:
        caption += f" {len(ranked) - _MOST_ROWS:,} lower-ranked settings are left out."
    table = Table(
        title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left",
        box=box.SIMPLE_HEAD, padding=0, collapse_padding=True, leading=1,
    )  # fmt: skip
    table.add_column(RANKING_HEADINGS[0], justify="right")
    table.add_column(RANKING_HEADINGS[1], overflow="fold")
    for heading in RANKING_HEADINGS[2:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for summary in ranked[:_MOST_ROWS]:
        no, label, *others = ranking_cells(summary, ranked)
        label = "\n".join(map(_folded, label.splitlines()))
        table.add_row(*map(Text, (no, label, *others)))
    return table


def explain_ranking(ranked: Sequence[Summary]) -> str:
    """Return an explanation of the columns of an environment's ranking."""
    env, others = ranked[0].env, len(ranked) - 1
    text = (
        "IQM: mean of the seeds' greedy returns without the lowest and the highest quarter."
        " In brackets: 95% intervals."
    )
    if others and ranked[0].num_seeds < MIN_SEEDS:
        text += f" Fewer than {MIN_SEEDS} seeds decide nothing between settings."
    elif any(summary.may_be_best for summary in ranked[1:]):
        text += (
            " *: not significantly worse than the best (test of the IQMs at"
            f" {LEVEL:.0%}{f', Bonferroni for {others:,} comparisons' if others > 1 else ''})."
        )
    if env in THRESHOLDS:
        text += (
            f" Solved: a greedy return of {THRESHOLDS[env]:g}. To solve: until an update's"
            " training return is that; median, in brackets quartiles."
        )
    return text


def ranking_cells(summary: Summary, ranked: Sequence[Summary]) -> list[str]:
    """Return a setting's row of a ranking, a cell for each of RANKING_HEADINGS.

    A star marks settings that are not significantly worse than the best.
    """
    label = "\n".join(swept_fields(summary.label))  # a line each: the columns need the width
    if summary.num_diverged:
        label += f"\n{summary.num_diverged:,} of {summary.num_seeds:,} diverged"
    solved = "-"
    if summary.num_solved is not None and summary.solved is not None:
        low, high = (f"{bound:.0%}"[:-1] for bound in summary.solved[1:])
        solved = f"{summary.num_solved:,}/{summary.num_seeds:,}\n({low}-{high}%)"
    starred = summary.may_be_best and summary.num_seeds >= MIN_SEEDS and summary is not ranked[0]
    return [
        f"{summary.setting}{'*' if starred else ''}",
        label,
        f"{show_score(summary.iqm.value)}\n{show_bounds(summary.iqm)}",
        f"{show_score(summary.median)}\n{show_score(summary.worst)}",
        solved,
        _show_quartiles(summary.updates),
        _show_quartiles(summary.env_steps),
    ]


def show_score(score: float | np.ndarray) -> str:
    """Return a score as a table shows it."""
    return number(score) if np.isfinite(score) else "diverged"


def show_bounds(interval: Interval) -> str:
    """Return the interval of a score in brackets."""
    if interval.high == np.inf:
        return "(too few seeds)"
    if interval.high == -np.inf:  # all diverged
        return ""
    return f"({show_score(interval.low)} to {show_score(interval.high)})"


def swept_fields(label: str) -> list[str]:
    """Split a setting's label into its fields."""
    return re.split(r", (?=[\w.]+=)", label)


def _folded(field: str) -> str:
    """Break a long field within its name or value, so that it fits beside the other columns."""
    lines = [""]
    for part in re.split(r"(?<=[=_:])|(?<=\dx)|(?<=\.)(?=[a-z])", field):
        if lines[-1] and len(lines[-1] + part) > _FIELD_WIDTH:
            lines.append(" ")
        lines[-1] += part
    return "\n".join(lines)


def _show_quartiles(quarters: Quartiles | None) -> str:
    if quarters is None:
        return "-"
    if quarters.lower == np.inf:
        return "never"
    lower, median, upper = map(_show_count, quarters)
    return median if lower == upper else f"{median}\n({lower}-{upper})"


def _show_count(found: float) -> str:
    """Return a number of updates or steps in at most five digits; infinity is "never"."""
    if found == np.inf:
        return "never"
    if found < 9_999.5:
        return f"{found:,.0f}"
    unit, size = ("k", 1e3) if found < 999.5e3 else ("M", 1e6) if found < 999.5e6 else ("G", 1e9)
    return f"{number(found / size, 3)}{unit}"
