"""How often the 95% intervals of `evaluation/statistics.py` hold the truth, with few seeds.

    python benchmarks/coverage.py

draws scores from known distributions, again and again. Beside each interval stands the percentile
bootstrap's, which rliable uses. Writes results/coverage.json.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from harness import RESULTS, Table, finish, run
from scipy import stats

from purejaxrl_reinforce.decisions.looks import decide
from purejaxrl_reinforce.execution.machine import started_on
from purejaxrl_reinforce.statistics import (
    MIN_SEEDS,
    Interval,
    interquartile_mean,
    interquartile_mean_interval,
    performance_profile,
)

FAILING = (0.2, 0.26, 0.3, 0.35, 0.4, 0.5)


def failing(share: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return scores near 450 from standard normal numbers, of which a share is near 50."""
    return lambda z: np.where(z < stats.norm.ppf(share), 50, 450) + 20 * z


# Scores from standard normal numbers.
DISTRIBUTIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "normal": lambda z: z,
    "exponential": lambda z: -stats.norm.logsf(z),
    **{f"{share:.0%} of the seeds fail": failing(share) for share in FAILING},
    "50% at the ceiling": lambda z: np.minimum(500 + 100 * z, 500),
    "70% at the ceiling": lambda z: np.minimum(500 + 100 * (z + stats.norm.ppf(0.7)), 500),
}


def solving(share: float, high: float, low: float = 0.0) -> Callable[[np.ndarray], np.ndarray]:
    """Return scores of which a share is high, the others low."""
    return lambda z: np.where(z < stats.norm.ppf(share), high, low)


# Settings of a sweep, of which the first has the highest interquartile mean.
RANKINGS: dict[str, list[Callable[[np.ndarray], np.ndarray]]] = {
    "nine equal ones": [lambda z: z] * 9,
    "half at the ceiling": [DISTRIBUTIONS["50% at the ceiling"]] * 4,
    "30% solve it, one rival": [solving(0.3, 93), lambda z: 5 + z],
    "35% solve it, one rival": [solving(0.35, 500, 100), lambda z: 170 + 20 * z],
    "26% fail in eight rivals": [lambda z: 495 + z, *[solving(0.74, 500)] * 8],
    "five times the spread of eight rivals": [lambda z: 5 * z, *[lambda z: z] * 8],
}

# Which fraction of the population scores more than a profile's threshold.
FRACTIONS = (0.95, 0.5, 0.05)

_MANY = 300_000

_RESAMPLES = 500


class Count:
    """How often an interval held the truth, and how often it had no bounds."""

    def __init__(self) -> None:
        self.held: list[bool] = []
        self.unbounded: list[bool] = []

    def add(self, interval: Interval, truth: float) -> None:
        # Sums of equal scores differ from the truth by rounding.
        room = 1e-9 * (1 + abs(truth))
        self.held.append(bool(interval.low - room <= truth <= interval.high + room))
        self.unbounded.append(bool(interval.high == np.inf))

    def row(self, **facts: Any) -> dict[str, Any]:
        return facts | {"coverage": np.mean(self.held), "unbounded": np.mean(self.unbounded)}


def percentiles(value: float, resampled: np.ndarray) -> Interval:
    """Return the interval of the percentile bootstrap."""
    return Interval(value, *np.quantile(resampled, [0.025, 0.975]))


def cover_interquartile_mean(name: str, n: int, repeats: int) -> list[dict[str, Any]]:
    rng, scores = np.random.default_rng(n), DISTRIBUTIONS[name]
    truth = float(interquartile_mean(scores(rng.standard_normal(_MANY))))
    ours, bootstrap = Count(), Count()
    for _ in range(repeats):
        x = scores(rng.standard_normal(n))
        ours.add(interquartile_mean_interval(x), truth)
        drawn = x[rng.integers(n, size=(_RESAMPLES, n))]
        bootstrap.add(percentiles(0, interquartile_mean(drawn, axis=1)), truth)
    return rows("interquartile mean", name, n, ours, bootstrap, f"interquartile mean: {name}")


def cover_profile(n: int, repeats: int, fraction: float) -> list[dict[str, Any]]:
    rng = np.random.default_rng(n)
    threshold = np.array([stats.norm.isf(fraction)])
    ours, bootstrap = Count(), Count()
    for _ in range(repeats):
        x = rng.standard_normal(n)
        ours.add(Interval(*(found[0] for found in performance_profile(x, threshold))), fraction)
        drawn = x[rng.integers(n, size=(_RESAMPLES, n))]
        bootstrap.add(percentiles(0, (drawn > threshold).mean(axis=1)), fraction)
    what = f"performance profile at {fraction:.0%}"
    return rows(what, "any", n, ours, bootstrap, "performance profile")


def cover_ranking(name: str, n: int, repeats: int) -> list[dict[str, Any]]:
    """Count how often the truly best setting, the first, is not significantly worse."""
    rng, settings = np.random.default_rng(n), RANKINGS[name]
    level = 0.025 / (len(settings) - 1)
    ours, ranks = Count(), Count()
    for _ in range(repeats):
        scores = [draw(rng.standard_normal(n)) for draw in settings]
        winner, best = max(scores, key=interquartile_mean), scores[0]
        theirs = stats.mannwhitneyu(winner, best, alternative="greater").pvalue > level
        kept = 0 in decide(dict(enumerate(scores))).left
        for count, value in ((ours, kept), (ranks, best is winner or theirs)):
            count.held.append(value)
            count.unbounded.append(n < MIN_SEEDS)
    return rows("ranking", name, n, ours, ranks, f"best setting kept: {name}")


def rows(
    statistic: str, scores: str, n: int, ours: Count, other: Count, group: str
) -> list[dict[str, Any]]:
    """Return what was counted; simulations of one `group` share a row of the table."""
    facts = {"statistic": statistic, "scores": scores, "group": group, "seeds": n}
    return [ours.row(**facts, method="ours"), other.row(**facts, method="other")]


def table(result: dict[str, Any]) -> Table:
    """Return the least coverage of each group of simulations, a column per number of seeds."""
    groups = dict.fromkeys(row["group"] for row in result["rows"])
    seeds = sorted({row["seeds"] for row in result["rows"]})
    lines = [[group, *(_cell(result["rows"], group, n) for n in seeds)] for group in groups]
    title = (
        "coverage in percent (share without bounds): ours / percentile bootstrap, of the ranking"
        " Mann and Whitney's test"
    )
    return Table(title, ["", *(f"{n} seeds" for n in seeds)], lines)


def _cell(rows: Sequence[dict[str, Any]], group: str, n: int) -> str:
    own = [row for row in rows if (row["group"], row["seeds"]) == (group, n)]
    least = {
        method: 100 * min(row["coverage"] for row in own if row["method"] == method)
        for method in ("ours", "other")
    }
    unbounded = max(row["unbounded"] for row in own)
    if unbounded == 1:
        return f"none / {least['other']:.1f}"
    share = f" ({unbounded:.0%})" if unbounded >= 0.005 else ""
    return f"{least['ours']:.1f}{share} / {least['other']:.1f}"


def main(
    repeats: int = 1_000, seeds: tuple[int, ...] = (3, 5, 10, 20, 30), results: Path = RESULTS
) -> None:
    """Simulate the coverage of the intervals of a sweep.

    Args:
        repeats: experiments per cell.
        seeds: numbers of seeds.
        results: directory for the result.
    """
    found: list[dict[str, Any]] = []
    for n in seeds:
        for name in DISTRIBUTIONS:
            found += cover_interquartile_mean(name, n, repeats)
        for fraction in FRACTIONS:
            found += cover_profile(n, repeats, fraction)
        for name in RANKINGS:
            found += cover_ranking(name, n, repeats)
    result = {**started_on(), "repeats": repeats, "rows": found}
    finish(results, "coverage", result, None, table)


if __name__ == "__main__":
    run(main)
