"""Which settings are worse than the best, decided after each of a few groups of seeds.

A look after a group of seeds compares the settings that are still in question with the one of the
highest interquartile mean. All looks and comparisons together call a setting worse that is none
in at most 5% of studies:

- Each look may spend the share of the 5% that its group has of all seeds (Lan and DeMets 1983).
  Levels of looks are summed, so that nothing need be known about how looks correlate.
- Within a look, settings take Holm's step-down (1979), which Bartroff and Lai (2010) extend to
  several looks: with r settings left of k the level is divided by r, and by the k - 1 rivals any
  of which may be the one that looks best.
- The test of a pair is `statistics.share_not_above`, as in the ranking of a fixed sweep, which is a
  study with a single look.

Everything here is a function of scores alone: a study that is resumed decides what it had decided.
benchmarks/studies.py simulates the errors and what stopping early saves.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from purejaxrl_reinforce.statistics import (
    MIN_SEEDS,
    Interval,
    difference_of_draws,
    draw_interquartile_means,
    interquartile_mean,
    share_not_above,
)

# How often any setting may be called worse that is none.
LEVEL = 0.05
# Where half the seeds fail, tests of two settings refuse up to a tenth more often than they say.
_NOMINAL = 0.8 * LEVEL
# Each look has so many times the seeds of the one before.
_GROWTH = 1.5

Verdict = Literal["best", "equal", "undecided", "goes on"]


class Look(NamedTuple):
    """A comparison after a group of seeds.

    Attributes:
        num_seeds: of each setting in it, at most.
        best: the setting with the highest interquartile mean.
        p_values: of the test that a setting is not worse than the best.
        level: of the last test. Where p is at most as high, a setting is worse.
        worse: settings that are out from here on.
        left: the others.
    """

    num_seeds: int
    best: int
    p_values: dict[int, float]
    level: float
    worse: list[int]
    left: list[int]


@dataclass(frozen=True)
class Decision:
    """What the looks have decided so far.

    Attributes:
        looks: the first ones, of which all scores are there.
        left: settings that are not worse than the best.
        verdict: "best": one setting is left; "equal": those left differ by less than a margin;
            "undecided": there are no seeds left; "goes on": train more.
        num_seeds: that the settings left need for the next look, or have where it does not go on.
    """

    looks: list[Look]
    left: list[int]
    verdict: Verdict
    num_seeds: int


def look_sizes(most: int) -> list[int]:
    """Return after how many seeds to look, MIN_SEEDS first, `most` last."""
    sizes = [min(MIN_SEEDS, most)]
    while sizes[-1] * _GROWTH**1.5 < most:
        sizes.append(int(np.ceil(sizes[-1] * _GROWTH)))
    return sizes if sizes[-1] == most else [*sizes, most]


def decide(
    scores: dict[int, np.ndarray], sizes: Sequence[int] = (), equal_within: float = 0.0
) -> Decision:
    """Return what looks at the scores decide, until one setting is left or scores are missing.

    Args:
        scores: of each setting, in the order of the seeds; -inf: diverged. Beyond those of its last
            look they do not count.
        sizes: numbers of seeds after which to look; none: one look at all the scores, whose numbers
            may differ.
        equal_within: end where all that are left differ by less. Then LEVEL is shared between such
            an end and eliminations.
    """
    looks: list[Look] = []
    left, before = list(scores), 0
    level = _NOMINAL / 2 if equal_within else _NOMINAL
    most = max(map(len, scores.values()))
    for size in sizes or [most]:
        if sizes and min(len(scores[i]) for i in left) < size:
            return Decision(looks, left, "goes on", size)
        share = level * (size - before) / (sizes or [most])[-1]
        parts = {i: scores[i][:size] for i in left}
        draw = _drawing(parts)
        looks.append(_look(parts, draw, share / max(1, len(scores) - 1)))
        left, before = looks[-1].left, size
        if len(left) == 1:
            return Decision(looks, left, "best", size)
        if equal_within and _are_equal(left, draw, equal_within, share):
            return Decision(looks, left, "equal", size)
    return Decision(looks, left, "undecided", before)


def differences(scores: dict[int, np.ndarray], decision: Decision) -> dict[int, Interval]:
    """Return by how much the interquartile mean of a setting differs from the best's.

    The difference is taken at the last look that includes the setting. Its interval leaves out 0
    where the setting is worse; all intervals of a look hold together in 95% of studies.
    """
    found = {}
    for look in decision.looks:
        parts = {i: scores[i][: look.num_seeds] for i in (look.best, *look.p_values)}
        draw = _drawing(parts)
        highest = float(interquartile_mean(parts[look.best]))
        for i in look.p_values:
            value, bounds = float(interquartile_mean(parts[i])), (-np.inf, np.inf)
            if min(len(parts[i]), len(parts[look.best])) >= MIN_SEEDS:
                bounds = difference_of_draws(draw(i, 1), draw(look.best, 0), look.level)
            found[i] = Interval(value if value == -np.inf else value - highest, *bounds)
    return found


def difference_of(x: np.ndarray, y: np.ndarray) -> Interval:
    """Return by how much the interquartile mean of x is higher than of y, which are independent."""
    mean, other = (float(interquartile_mean(scores)) for scores in (x, y))
    value = mean - other if np.isfinite([mean, other]).all() else np.nan
    if min(len(x), len(y)) < MIN_SEEDS:
        return Interval(value, -np.inf, np.inf)
    draw = _drawing({0: x, 1: y})
    return Interval(value, *difference_of_draws(draw(0, 0), draw(1, 1), LEVEL / 2))


def _drawing(scores: dict[int, np.ndarray]) -> Callable[[int, int], np.ndarray]:
    """Return a function (setting, side) that draws interquartile means, once each."""
    samples = np.concatenate(list(scores.values()))
    finite = samples[np.isfinite(samples)]
    ends = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    return functools.cache(lambda i, side: draw_interquartile_means(scores[i], ends, side))


def _look(
    scores: dict[int, np.ndarray], draw: Callable[[int, int], np.ndarray], level: float
) -> Look:
    """Compare all settings with the one that looks best, at a level for each of its rivals."""
    num_seeds, left = max(map(len, scores.values())), list(scores)
    best = max(left, key=lambda i: float(interquartile_mean(scores[i])))
    others = [i for i in left if i != best]
    p = {
        i: share_not_above(draw(best, 0), draw(i, 1))
        if min(len(scores[best]), len(scores[i])) >= MIN_SEEDS
        else 1.0
        for i in others
    }
    step = level
    for i in sorted(others, key=p.__getitem__):
        step = level / len(left)
        if p[i] > step:
            break
        left.remove(i)
    return Look(num_seeds, best, p, step, [i for i in others if i not in left], left)


def _are_equal(
    settings: Sequence[int], draw: Callable[[int, int], np.ndarray], margin: float, level: float
) -> bool:
    """Return whether no two settings differ by the margin: both tests of every pair say so."""
    pairs = ((i, j) for i in settings for j in settings if i != j)
    return all(share_not_above(draw(i, 0), draw(j, 1), -margin) <= level for i, j in pairs)
