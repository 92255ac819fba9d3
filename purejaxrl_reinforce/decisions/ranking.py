"""The ranking of settings, as a terminal and a page show it."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from purejaxrl_reinforce.decisions.looks import LEVEL, Decision, Look
from purejaxrl_reinforce.output import html
from purejaxrl_reinforce.output.text import count, number
from purejaxrl_reinforce.statistics import MIN_SEEDS, Interval, Quartiles
from purejaxrl_reinforce.tasks import THRESHOLDS

# More rows than this are not read on a terminal.
_MOST_ROWS = 20
# More settings are counted, not named.
_MOST_NAMED = 6
# Letters that 80 columns have for a field beside the widest numbers.
_FIELD_WIDTH = 18

_HEADINGS = (
    "no.", "setting", "greedy return\nIQM", "difference\nto highest", "median\nworst",
    "solved;\nreached\nin updates,\nsteps",
)  # fmt: skip
_LATEX_HEADINGS = (
    *_HEADINGS[:4], "median", "worst", "seeds", "solved", "reached in updates", "in steps",
)  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """Statistics of one setting over its seeds.

    Attributes:
        setting: its position among the sweep's settings.
        label: the swept fields and their values.
        env: only settings of one environment compare.
        num_seeds: number of agents. Each counts in everything below.
        num_diverged: agents of which an update, or the evaluation, was not finite.
        iqm: interquartile mean of the scores (see `sweeps.summary`) with its 95% interval.
        median: of the scores.
        worst: the lowest score.
        num_solved: agents whose score reaches the environment's threshold; None, here and below,
            where it has none.
        solved: the fraction of such agents with its exact 95% interval.
        updates: until an update's mean training return reaches the threshold, quartiles over the
            seeds; inf: never.
        env_steps: valid environment steps up to the end of that update, likewise.
        may_be_best: whether it is the best of its environment, or not significantly worse, as
            `decide` tests it.
        difference: of its interquartile mean to the highest of these settings, see
            `differences`; None: it has the highest, or was not compared.
    """

    setting: int
    label: str
    env: str
    num_seeds: int
    num_diverged: int
    iqm: Interval
    median: float
    worst: float
    num_solved: int | None
    solved: Interval | None
    updates: Quartiles | None
    env_steps: Quartiles | None
    may_be_best: bool
    difference: Interval | None


class Ranking(NamedTuple):
    """The settings of an environment: first those that may be the best, then the others.

    Attributes:
        env: the environment.
        summaries: of its settings.
        decision: which of them may be the best, and why.
        equal_within: of a study that ends when it is decided; None: each setting gets all seeds.
    """

    env: str
    summaries: list[Summary]
    decision: Decision
    equal_within: float | None


def ranking_view(rankings: Sequence[Ranking]) -> Group:
    """Return the ranking of each environment for a terminal of 80 columns or more."""
    return Group(*(part for ranking in rankings for part in (_table(ranking), "")))


def ranking_text(rankings: Sequence[Ranking]) -> str:
    """Return the lines of `ranking_view`."""
    console = Console(file=io.StringIO(), width=100)
    with console.capture() as capture:
        console.print(ranking_view(rankings))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()).strip("\n")


def ranking_html(ranking: Ranking) -> str:
    """Return the ranking of an environment for a page."""
    return html.paragraph(title_of(ranking)) + html.table(_HEADINGS, ranking_rows(ranking))


def ranking_latex(rankings: Sequence[Ranking]) -> str:
    """Return the ranking of each environment as a tabular, for which LaTeX needs booktabs."""

    def row(cells: Sequence[str]) -> str:
        plain = (" ".join(cell.split()) for cell in cells)
        escaped = (re.sub(r"([&%$#_{}])", r"\\\1", cell) for cell in plain)
        return " & ".join(re.sub(r"(?<![\w.])-(?=\d)", "$-$", cell) for cell in escaped) + r" \\"

    start = rf"\begin{{tabular}}{{rl{'r' * (len(_LATEX_HEADINGS) - 2)}}}"
    return "\n".join(
        line
        for ranking in rankings
        for line in (
            start, r"\toprule", row(_LATEX_HEADINGS), r"\midrule",
            *(row(_latex_cells(summary, ranking)) for summary in ranking.summaries),
            r"\bottomrule", r"\end{tabular}",
        )
    )  # fmt: skip


def _table(ranking: Ranking) -> Table:
    ranked = ranking.summaries
    caption = explain_ranking(ranking)
    if len(ranked) > _MOST_ROWS:
        caption += f" {len(ranked) - _MOST_ROWS:,} lower-ranked settings are left out."
    table = Table(
        title=Text(title_of(ranking)), title_justify="left",
        caption=Text(caption), caption_justify="left",
        box=box.SIMPLE_HEAD, padding=0, collapse_padding=True, leading=1,
    )  # fmt: skip
    table.add_column(_HEADINGS[0], justify="right")
    table.add_column(_HEADINGS[1], overflow="fold")
    for heading in _HEADINGS[2:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for no, label, *others in ranking_rows(ranking)[:_MOST_ROWS]:
        label = "\n".join(map(_folded, label.splitlines()))
        table.add_row(*map(Text, (no, label, *others)))
    return table


def title_of(ranking: Ranking) -> str:
    """Return the environment, the numbers of seeds and settings, and the decision."""
    ranked = ranking.summaries
    numbers = [summary.num_seeds for summary in ranked]
    few, many = min(numbers), max(numbers)
    seeds = count(many, "seed") if few == many else f"{few:,} to {many:,} seeds"
    title = f"{ranking.env}, {seeds}, {count(len(ranked), 'setting')}"
    return f"{title}: {verdict(ranking)}" if len(ranked) > 1 else title


def verdict(ranking: Ranking) -> str:
    """Return the decision between several settings."""
    decision, total = ranking.decision, len(ranking.summaries)
    left = [s.setting for s in ranking.summaries if s.may_be_best]
    if not decision.looks:
        return "nothing is decided so far"
    if not decision.looks[-1].p_values:
        return f"no. {left[0]} went on to the end, untested"
    if decision.verdict == "best":
        return f"no. {left[0]} is the best"
    if decision.verdict == "equal":
        return f"{_named(left)} differ by less than {ranking.equal_within:g}"
    so_far = " so far" if decision.verdict == "goes on" else ""
    if not so_far and max(s.num_seeds for s in ranking.summaries) < MIN_SEEDS:
        return f"nothing is decided, which takes at least {MIN_SEEDS} seeds"
    if len(left) == total:
        return f"nothing is decided{so_far}"
    return f"undecided{so_far} between {_named(left)}"


def _named(settings: Sequence[int]) -> str:
    """Name settings by their numbers."""
    if len(settings) > _MOST_NAMED:
        return count(len(settings), "setting")
    *others, last = map(str, settings)
    return f"no. {', '.join(others)} and {last}" if others else f"no. {last}"


def explain_looks(ranking: Ranking) -> list[str]:
    """Return a line for each look of a study that ends when it is decided."""
    if ranking.equal_within is None:
        return []
    lines = list(map(_explain_look, ranking.decision.looks))
    return [*lines, f"{ranking.env}: {verdict(ranking)}"]


def _explain_look(look: Look) -> str:
    text = f"after {count(look.num_seeds, 'seed')}: "
    if not look.worse:
        return f"{text}none of {count(len(look.left), 'setting')} is worse than no. {look.best}"
    p, are = max(look.p_values[i] for i in look.worse), "are" if len(look.worse) > 1 else "is"
    return (
        f"{text}{_named(look.worse)} {are} worse than no. {look.best}"
        f" (p {f'<= {p:.1g}' if p else '< 1e-6'}); left: {_named(look.left)}"
    )


def explain_ranking(ranking: Ranking) -> str:
    """Return an explanation of the columns of an environment's ranking."""
    env, decision = ranking.env, ranking.decision
    text = (
        "IQM: mean of the seeds' greedy returns without the lowest and the highest quarter."
        " In brackets: 95% intervals."
    )
    if len(ranking.summaries) > 1 and decision.looks[-1].num_seeds >= MIN_SEEDS:
        text += (
            f" Worse: the IQM is significantly lower, at {LEVEL:.0%} for all"
            f"{' looks and' if ranking.equal_within is not None else ''} settings together;"
            " the interval of the difference excludes 0."
        )
    if sum(summary.may_be_best for summary in ranking.summaries) > 1:
        text += " Settings that may be the best are ordered by solved seeds, then by worst seed."
    if env in THRESHOLDS:
        text += (
            f" Solved: a greedy return of {THRESHOLDS[env]:g} or more. Reached in: median updates"
            " and environment steps until an update's training return is as high."
        )
    return text


def ranking_rows(ranking: Ranking) -> list[list[str]]:
    """Return a row for each setting, a cell for each of the headings, the best first."""
    return [_cells(summary, ranking) for summary in ranking.summaries]


def _cells(summary: Summary, ranking: Ranking) -> list[str]:
    label = "\n".join(swept_fields(summary.label))  # a line each: the columns need the width
    if summary.num_diverged:
        label += f"\n{summary.num_diverged:,} of {summary.num_seeds:,} diverged"
    return [
        f"{summary.setting}",
        label,
        f"{show_score(summary.iqm.value)}\n{show_bounds(summary.iqm)}",
        _difference(summary, ranking),
        f"{show_score(summary.median)}\n{show_score(summary.worst)}",
        _show_solved(summary),
    ]


def _latex_cells(summary: Summary, ranking: Ranking) -> list[str]:
    """Return a cell for each of _LATEX_HEADINGS."""
    solved = ["-"] * 3
    if summary.solved and summary.updates and summary.env_steps:
        value, low, high = (f"{100 * x:.0f}" for x in summary.solved)
        medians = (_show_count(x.median) for x in (summary.updates, summary.env_steps))
        solved = [f"{value}% ({low} to {high}%)", *medians]
    scores = show_score(summary.median), show_score(summary.worst)
    return [*_cells(summary, ranking)[:4], *scores, f"{summary.num_seeds:,}", *solved]


def _difference(summary: Summary, ranking: Ranking) -> str:
    """Return how far a setting is from the highest, and whether it is the winner or worse."""
    decision, several = ranking.decision, len(ranking.summaries) > 1
    if summary.setting == decision.looks[-1].best and several:
        is_tested = decision.verdict == "best" and decision.looks[-1].p_values
        return "the best" if is_tested else "highest"
    if summary.difference is None:
        return "-" if summary.may_be_best else "stopped early"
    value, low, high = summary.difference
    if not np.isfinite([low, high]).all():
        shown = number(value, 3) if np.isfinite(value) else ""
    else:
        shown = f"{number(value, 3)}\n({number(low, 3)} to {number(high, 3)})"
    return shown if summary.may_be_best else f"{shown}\nworse".strip()


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


def _show_solved(summary: Summary) -> str:
    """Return the share of seeds that solve the environment, and after how many updates."""
    if not (summary.solved and summary.updates and summary.env_steps):
        return "-"
    low, high = (f"{bound:.0%}"[:-1] for bound in summary.solved[1:])
    medians = (_show_count(x.median) for x in (summary.updates, summary.env_steps))
    return (
        f"{summary.num_solved:,}/{summary.num_seeds:,}\n({low}-{high}%)"
        f"\n{', '.join(dict.fromkeys(medians))}"
    )


def _show_count(found: float) -> str:
    """Return a number of updates or steps in at most five digits; infinity is "never"."""
    if found == np.inf:
        return "never"
    if found < 9_999.5:
        return f"{found:,.0f}"
    unit, size = ("k", 1e3) if found < 999.5e3 else ("M", 1e6) if found < 999.5e6 else ("G", 1e9)
    return f"{number(found / size, 3)}{unit}"
