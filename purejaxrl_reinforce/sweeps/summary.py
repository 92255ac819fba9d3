"""What a sweep found, setting by setting: numbers, a table on the terminal, a dictionary for JSON.

Settings of different environments have returns that mean different things: each environment has
a ranking of its own.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from purejaxrl_reinforce.algorithm.environment import THRESHOLDS, first_solved
from purejaxrl_reinforce.evaluation.statistics import (
    Quartiles,
    binomial_interval,
    bootstrap_interval,
    interquartile_mean,
    probability_of_improvement,
    quartiles,
)
from purejaxrl_reinforce.output.interval import Interval
from purejaxrl_reinforce.sweeps.results import SweepResults

# More rows than this are not read on a terminal.
_MOST_ROWS = 20

# Up to here the terminal shows how the best setting does against each other one.
_MOST_COMPARED = 8

# Pairs grow with the square: 32 settings of 1,024 seeds have 496, which take some 15 seconds.
MOST_PAIRED = 32

RANKING_HEADINGS = (
    "setting", "IQM", "median\nworst", "solved", "updates\nto solve", "env steps\nto solve",
)  # fmt: skip


@dataclass(frozen=True)
class Summary:
    """One setting's seeds together.

    Attributes:
        setting: its position among the sweep's settings.
        label: what was swept, and its values.
        env: what was trained on; only settings of one environment compare.
        num_seeds: how many agents there are. Each counts in everything below.
        num_diverged: agents of which an update, or the evaluation, was not finite.
        iqm: interquartile mean of the scores with its 95% bootstrap interval; see `agent_scores`.
        median: of the scores.
        worst: the lowest score.
        num_solved: agents whose score reaches the environment's threshold; None, here and below,
            where it has none.
        solved: the fraction of such agents with its exact 95% interval.
        updates: until an update's mean training return reaches the threshold, quartiles over the
            seeds; inf: it never does.
        env_steps: valid environment steps up to the end of that update, likewise.
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


def agent_scores(results: SweepResults) -> np.ndarray:
    """Return what counts as each agent's score, [setting, seed].

    That is the mean return of its greedy episodes, or -inf, worse than any other, where one of
    its updates or the evaluation was not finite: who diverges is not left out.
    """
    scores = results.scores
    return np.where(_healthy(results) & np.isfinite(scores), scores, -np.inf)


def summarize(results: SweepResults) -> list[Summary]:
    """Return a summary of each setting, the best first within each environment.

    The best has the highest interquartile mean; of equals, that which needs fewer environment
    steps to the threshold in the median. Environments come in the order in which they were given.
    """
    labels, scores = results.labels, agent_scores(results)
    summaries = [_summary(results, i, labels[i], scores[i]) for i in range(len(labels))]
    envs = [config.env for config in results.configs]

    def rank(summary: Summary) -> tuple[int, float, float]:
        steps = summary.env_steps.median if summary.env_steps else 0.0
        return envs.index(summary.env), -float(summary.iqm.value), steps

    return sorted(summaries, key=rank)


def by_env(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Return the summaries of each environment, in their order."""
    envs = dict.fromkeys(summary.env for summary in summaries)
    return {env: [s for s in summaries if s.env == env] for env in envs}


def summary_view(results: SweepResults, summaries: Sequence[Summary]) -> Group:
    """Return what a terminal of 80 columns or more shows, for rich's `Console.print`.

    Args:
        results: of the sweep.
        summaries: of its settings, as `summarize` returns them.
    """
    scores = agent_scores(results)
    parts: list[Table | str] = []
    for env, ranked in by_env(summaries).items():
        parts += [_ranking(env, ranked), ""]
        if 2 <= len(ranked) <= _MOST_COMPARED:
            parts += [_against_the_best(ranked, scores), ""]
    return Group(*parts)


def summary_dict(results: SweepResults, summaries: Sequence[Summary]) -> dict[str, Any]:
    """Return everything for `dump_json`.

    Steps until what never happens, the score of who diverged and both bounds of an interval around
    one seed are infinite. None stands for all that needs a threshold where the environment has
    none.

    Args:
        results: of the sweep.
        summaries: of its settings, as `summarize` returns them.

    Returns:
        `settings`, in the order of `summaries`, with the attributes of `Summary` and the `swept`
        values by field; and of each environment with 2 to 32 settings, `comparisons`: in row i
        and column j, how probably a seed of the i-th of its `settings` scores higher than one of
        the j-th.
    """
    return {
        "settings": [
            {**vars(summary), "swept": _swept(results, summary.setting)} for summary in summaries
        ],
        "comparisons": comparisons(results, summaries),
    }


def comparisons(results: SweepResults, summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Compare every setting with every other, in each environment with 2 to MOST_PAIRED settings.

    Args:
        results: of the sweep.
        summaries: of its settings, as `summarize` returns them.

    Returns:
        `env`, its `settings`, the best first, and matrices `value`, `low` and `high`: in row i and
        column j, how probably a seed of the i-th scores higher than one of the j-th, with its 95%
        interval.
    """
    scores = agent_scores(results)
    return [
        {"env": env, **_matrix([summary.setting for summary in ranked], scores)}
        for env, ranked in by_env(summaries).items()
        if 2 <= len(ranked) <= MOST_PAIRED
    ]


def explain_ranking(env: str) -> str:
    """Say what the columns of a ranking in an environment are."""
    text = (
        "IQM: mean of the greedy returns without the lowest and the highest quarter of the seeds."
        " In brackets: 95% intervals."
    )
    if env not in THRESHOLDS:
        return text
    return (
        f"{text} Solved: a greedy return of {THRESHOLDS[env]:g}. To solve: until an update's mean"
        " training return is that; median, in brackets quartiles."
    )


def ranking_cells(summary: Summary) -> list[str]:
    """Return what a ranking says of a setting, under each of RANKING_HEADINGS; with line breaks."""
    label = "\n".join(swept_fields(summary.label))  # a line each: the columns need the width
    if summary.num_diverged:
        label += f"\n{summary.num_diverged:,} of {summary.num_seeds:,} diverged"
    solved = "-"
    if summary.num_solved is not None and summary.solved is not None:
        low, high = (f"{bound:.0%}"[:-1] for bound in summary.solved[1:])
        solved = f"{summary.num_solved:,}/{summary.num_seeds:,}\n({low}-{high}%)"
    return [
        label,
        f"{show_score(summary.iqm.value)}\n{_show_bounds(summary.iqm)}",
        f"{show_score(summary.median)}\n{show_score(summary.worst)}",
        solved,
        _show_quartiles(summary.updates),
        _show_quartiles(summary.env_steps),
    ]


def show_score(score: float | np.ndarray) -> str:
    """Return a score, a number or an array of no dimensions, as a table shows it."""
    score = float(score)
    if not math.isfinite(score):
        return "diverged"
    # Adding 0 makes -0.0 a 0.0.
    return f"{score:,.1f}" if abs(score) >= 10 else f"{score + 0.0:.3g}"


def swept_fields(label: str) -> list[str]:
    """Split a setting's label into its fields."""
    return re.split(r", (?=\w+=)", label)


def _healthy(results: SweepResults) -> np.ndarray:
    """Return of which agents each of the setting's own updates was finite, [setting, seed]."""
    own = zip(results.metrics["finite"], results.configs, strict=True)
    return np.stack([finite[:, : config.num_updates].all(axis=1) for finite, config in own])


def _summary(results: SweepResults, i: int, label: str, scores: np.ndarray) -> Summary:
    env, threshold = results.configs[i].env, THRESHOLDS.get(results.configs[i].env)
    num_solved = None if threshold is None else int((scores >= threshold).sum())
    updates, env_steps = _until_solved(results, i)
    return Summary(
        setting=i,
        label=label,
        env=env,
        num_seeds=len(scores),
        num_diverged=int(np.isinf(scores).sum()),
        iqm=bootstrap_interval(scores[:, None], partial(interquartile_mean, axis=(1, 2))),
        median=float(np.median(scores)),
        worst=float(scores.min()),
        num_solved=num_solved,
        solved=None if num_solved is None else binomial_interval(num_solved, len(scores)),
        updates=None if threshold is None else quartiles(updates),
        env_steps=None if threshold is None else quartiles(env_steps),
    )


def _until_solved(results: SweepResults, i: int) -> tuple[np.ndarray, np.ndarray]:
    """Return updates and environment steps until each seed's returns are enough, [seed]."""
    returns, steps = (results.metrics[name][i] for name in ("mean_return", "env_steps"))
    first = [first_solved(results.configs[i].env, seed) for seed in returns]
    updates = [np.inf if n is None else n for n in first]
    env_steps = [np.inf if n is None else seed[n - 1] for n, seed in zip(first, steps, strict=True)]
    return np.array(updates, float), np.array(env_steps, float)


def _ranking(env: str, ranked: Sequence[Summary]) -> Table:
    seeds = "1 seed" if ranked[0].num_seeds == 1 else f"{ranked[0].num_seeds:,} seeds"
    settings = "1 setting" if len(ranked) == 1 else f"{len(ranked):,} settings, the best first"
    table = _table(f"{env}, {seeds}, {settings}", _caption(env, len(ranked)))
    for heading in RANKING_HEADINGS[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for summary in ranked[:_MOST_ROWS]:
        table.add_row(*map(Text, ranking_cells(summary)))
    return table


def _caption(env: str, num_settings: int) -> str:
    if num_settings <= _MOST_ROWS:
        return explain_ranking(env)
    left_out = num_settings - _MOST_ROWS
    return f"{explain_ranking(env)} {left_out:,} settings that did worse are left out."


def _against_the_best(ranked: Sequence[Summary], scores: np.ndarray) -> Table:
    best, *others = ranked
    caption = "Of all pairs of a seed of the one and a seed of the other; ties count one half."
    table = _table(f"How probably {best.label} does better than", caption)
    table.add_column("probability", justify="right")
    table.add_column("95% interval", justify="right")
    for other in others:
        better = probability_of_improvement(scores[best.setting], scores[other.setting])
        bounds = "one seed" if np.isinf(better.high) else f"{better.low:.2f} to {better.high:.2f}"
        table.add_row(*(Text(cell) for cell in (other.label, f"{better.value:.2f}", bounds)))
    return table


def _table(title: str, caption: str) -> Table:
    table = Table(
        title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left",
        box=box.SIMPLE_HEAD, padding=0, collapse_padding=True, leading=1,
    )  # fmt: skip
    table.add_column("setting", overflow="fold")
    return table


def _show_bounds(interval: Interval) -> str:
    if np.isinf(interval.high):  # one seed, or all of them diverged
        return ""
    return f"({show_score(interval.low)} to {show_score(interval.high)})"


def _show_quartiles(quarters: Quartiles | None) -> str:
    if quarters is None:
        return "-"
    if quarters.lower == np.inf:
        return "never"
    lower, median, upper = map(_show_count, quarters)
    return median if lower == upper else f"{median}\n({lower}-{upper})"


def _show_count(count: float) -> str:
    """Return a number of updates or steps in at most five digits, or that it is never reached."""
    if count == np.inf:
        return "never"
    for unit, size in (("", 1), ("k", 1e3), ("M", 1e6)):
        scaled = count / size
        if scaled < (9_999.5 if size == 1 else 999.5):
            return f"{scaled:,.0f}" if size == 1 else f"{scaled:.3g}{unit}"
    return f"{count / 1e9:,.3g}G"


def _swept(results: SweepResults, i: int) -> dict[str, Any]:
    return {name: getattr(results.configs[i], name) for name in results.axes}


def _matrix(settings: Sequence[int], scores: np.ndarray) -> dict[str, Any]:
    """Compare every setting with every other: the attributes of `Interval` as matrices."""
    n = len(settings)
    # Of a setting and itself, every pair of seeds has its mirror image.
    matrices = Interval(*(np.full((n, n), 0.5) for _ in Interval._fields))
    for i in range(n):
        for j in range(i + 1, n):
            better = probability_of_improvement(scores[settings[i]], scores[settings[j]])
            for matrix, upper, lower in zip(matrices, better, _mirrored(better), strict=True):
                matrix[i, j], matrix[j, i] = upper, lower
    return {"settings": list(settings), **matrices._asdict()}


def _mirrored(better: Interval) -> Interval:
    """Return how probably the other does better."""
    return Interval(1 - better.value, 1 - better.high, 1 - better.low)
