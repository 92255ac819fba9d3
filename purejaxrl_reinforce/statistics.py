"""Statistics of scores over seeds that few lucky or diverged seeds cannot sway.

They are those of Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical
precipice", and of their library rliable, but for the intervals: the percentile bootstrap covers too
little with few seeds (benchmarks/coverage.py). Scores may be -inf, worse than any number, but not
NaN. All intervals are 95% intervals, and the same scores always get the same one. Where the seeds
are too few for any interval, its bounds are infinite.
"""

import functools
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """An estimate with the 95% interval around it: numbers, or arrays of one shape."""

    value: Any
    low: Any
    high: Any


_COVERAGE = 0.95
# Returns are summed in single precision on one side and in double on the other.
_ROUNDING = 1e-5


def mean_interval(samples: np.ndarray) -> Interval:
    """Return the mean over the first axis of `samples`, [S, ...], with its t interval.

    The interval is mean +- t(S - 1) s / sqrt(S), for samples that are roughly normal or many. It
    has no width where all samples are equal, and no bounds where there is one sample only.
    """
    from scipy import stats  # takes half a second to import

    mean = samples.mean(axis=0)
    if len(samples) < 2:
        return _unbounded(mean)
    _, t = stats.t.interval(_COVERAGE, len(samples) - 1)
    half = t * stats.sem(samples, axis=0)
    return Interval(mean, mean - half, mean + half)


def difference_interval(a: np.ndarray, b: np.ndarray) -> Interval:
    """Return mean(a) - mean(b) with its Welch interval, for independent samples [A] and [B].

    That is a t interval whose degrees of freedom follow from both variances, which may differ.
    It is widened by the rounding of single precision, so that two sides without any variance
    still compare as equal where they are. With one sample on a side it has no bounds.
    """
    from scipy import stats

    difference = np.asarray(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return _unbounded(difference)
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of no variance
        low, high = stats.ttest_ind(a, b, equal_var=False).confidence_interval(_COVERAGE)
    rounding = _ROUNDING * max(abs(a.mean()), abs(b.mean()))
    return Interval(difference, low - rounding, high + rounding)


# Fewer seeds have no interval. Where 30% of a population's seeds fail, one of six samples of five
# seeds shows none that failed: no interval of such samples covers 95%.
MIN_SEEDS = 10

_TAIL = (1 - _COVERAGE) / 2

_DRAWS = 2_000

# Numbers that are drawn at a time: they stay in the processor's cache, and many seeds take longer,
# not more memory.
_MOST_DRAWN = 2**16
# Weights of up to so many seeds, 8 MB, are kept: all settings and simulations ask for the same.
_MOST_KEPT = 512


class Quartiles(NamedTuple):
    """What a quarter, a half and three quarters of some numbers do not exceed."""

    lower: float
    median: float
    upper: float


def interquartile_mean(scores: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Return the mean without the lowest and the highest quarter.

    Of n numbers n // 4, rounded down, go on either side, as in `scipy.stats.trim_mean`.

    Scores are of any shape; the mean is over an axis, None: over everything.
    """
    last = scores.ravel() if axis is None else np.moveaxis(scores, axis, -1)
    n = last.shape[-1]
    cut = n // 4
    return np.partition(last, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(axis=-1)


def interquartile_mean_interval(scores: np.ndarray) -> Interval:
    """Return the interquartile mean over the first axis of scores, [seeds, ...], with its interval.

    The fractions of the population below the ordered scores are distributed as ordered uniform
    numbers, whatever the population (generalized fiducial inference: Cui and Hannig 2019). Each
    draw of them leaves a lowest and a highest interquartile mean, with every quantile at the score
    below or above it; the interval lies between the 2.5% quantile of the lowest and the 97.5%
    quantile of the highest. Beyond either end the population is taken to go on for the mean
    distance between neighbors.

    The interval has no bounds with fewer than MIN_SEEDS seeds, nor with equal scores of so few
    seeds that more than a quarter of the population may well score differently.
    """
    value, ordered, n = interquartile_mean(scores, axis=0), np.sort(scores, axis=0), len(scores)
    unbounded = _unbounded(value)
    if n < MIN_SEEDS:
        return unbounded
    last, finite = ordered[-1], np.isfinite(ordered)
    gap = (np.where(finite, last, 0.0) - np.where(finite, ordered, 0.0)).max(axis=0) / (n - 1)
    lowest, highest = np.sort(_draws(ordered, ordered[0] - gap, last + gap), axis=1)
    cut = int(_TAIL * _DRAWS)  # no interpolation, which would give NaN with -inf
    low, high = np.minimum(lowest[cut], value), np.maximum(highest[-cut - 1], value)
    equal_by_chance = (ordered[0] == last) & (0.75**n > 1 - _COVERAGE)
    return Interval(
        value,
        np.where(equal_by_chance, unbounded.low, low),
        np.where(equal_by_chance, unbounded.high, high),
    )


def binomial_interval(successes: np.ndarray | int, trials: int) -> Interval:
    """Return fractions of successes with their exact intervals.

    Those of Clopper and Pearson (1934), which hold the true probability at least 95% of the time.
    """
    from scipy import stats

    won = np.asarray(successes)
    lost = trials - won
    # The distributions degenerate to a point, for which scipy gives NaN.
    low = np.where(won, stats.beta.ppf(_TAIL, won, lost + 1), 0.0)
    high = np.where(lost, stats.beta.ppf(1 - _TAIL, won + 1, lost), 1.0)
    return Interval(won / trials, low, high)


def draw_interquartile_means(
    scores: np.ndarray, ends: tuple[float, float], side: int
) -> np.ndarray:
    """Draw interquartile means of the population that scores [n] are of, ascending, [draws].

    They are drawn as for `interquartile_mean_interval`, each halfway between lowest and highest.

    Args:
        scores: [n].
        ends: lowest and highest finite score of all settings that are compared. Beyond its own
            scores a population is taken to reach as far: a setting of which no seed failed yet
            may fail like the others.
        side: 0 or 1; draws of different sides are independent of each other.
    """
    ordered = np.sort(scores, axis=0)
    lowest, highest = _draws(
        ordered, np.minimum(ends[0], ordered[0]), np.maximum(ends[1], ordered[-1]), side
    )
    return np.sort((lowest + highest) / 2)


def share_not_above(x: np.ndarray, y: np.ndarray, shift: float = 0.0) -> float:
    """Return the share of all pairs of ascending draws, [draws], in which x <= y + shift.

    Of independent draws that is a one-sided p-value: how probably the interquartile mean of x's
    population is not above y's. Unlike a test of ranks it asks about the statistic that a ranking
    goes by, also where some seeds fail, scores are tied, or spreads differ.
    """
    not_above = np.searchsorted(x - _rounding(x, y), y + shift, side="right")
    return float(not_above.mean() / len(x))


def difference_of_draws(x: np.ndarray, y: np.ndarray, level: float) -> tuple[float, float]:
    """Return the bounds of x - y; the test at a one-sided level rejects values outside.

    Takes ascending draws of both populations, [draws].
    """
    low, high = _least_difference(x, y, level), -_least_difference(y, x, level)
    equal = 2 * _rounding(x, y)
    return 0.0 if abs(low) < equal else low, 0.0 if abs(high) < equal else high


def _least_difference(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Return the highest number that x - y exceeds significantly."""
    finite = np.concatenate([z[np.isfinite(z)] for z in (x, y)])
    high = 1.0 + np.ptp(finite) if finite.size else 1.0
    low = -high
    if share_not_above(x, y, low) > level:
        return -np.inf
    if share_not_above(x, y, high) <= level:
        return np.inf
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if share_not_above(x, y, middle) <= level else (low, middle)
    return low


def _rounding(x: np.ndarray, y: np.ndarray) -> float:
    """Return by how much weighted sums of equal scores may differ."""
    ends = np.abs([x[0], x[-1], y[0], y[-1]])
    return 1e-9 * (1 + float(ends[np.isfinite(ends)].max(initial=0.0)))


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> Interval:
    """Return which fraction of the runs, of scores [runs], scores more than each threshold, [n].

    More, not as much (Agarwal et al. 2021, equation 2; rliable). The interval is the exact one of
    each threshold by itself.
    """
    not_above = np.searchsorted(np.sort(scores), thresholds, "right")
    return binomial_interval(len(scores) - not_above, len(scores))


def quartiles(x: np.ndarray) -> Quartiles:
    """Return the quartiles of numbers [n] of which inf stands for "never".

    Each is one of the numbers, the smallest that a quarter, a half or three quarters of them do
    not exceed: between a number and never there is nothing to interpolate.
    """
    return Quartiles(*np.quantile(x, (0.25, 0.5, 0.75), method="inverted_cdf").tolist())


def _draws(ordered: np.ndarray, low: Any, high: Any, seed: int = 0) -> np.ndarray:
    """Return lowest and highest interquartile means, [2, draws, ...], of ordered scores [n, ...].

    Below and above them the population reaches to `low` and `high`. The seed is fixed: the same
    scores always get the same draws.
    """
    n, below, above = len(ordered), np.stack([low, *ordered]), np.stack([*ordered, high])
    weights = _kept_weights(n, seed) if n <= _MOST_KEPT else _new_weights(n, seed)
    return np.concatenate([(_weighted(w, below), _weighted(w, above)) for w in weights], axis=1)


@functools.lru_cache(maxsize=16)
def _kept_weights(n: int, seed: int) -> list[np.ndarray]:
    return list(_new_weights(n, seed))


def _new_weights(n: int, seed: int) -> Iterator[np.ndarray]:
    """Give, chunk by chunk, shares of the interquartile range around n scores, [draws, n + 1]."""
    random = np.random.default_rng(seed)
    most = max(1, _MOST_DRAWN // (n + 1))
    for start in range(0, _DRAWS, most):
        # Sums of exponential numbers over their total are ordered uniform numbers.
        sums = random.standard_exponential((min(most, _DRAWS - start), n + 1)).cumsum(axis=1)
        inner = np.clip(sums / sums[:, -1:], 0.25, 0.75)
        yield 2 * np.diff(inner, prepend=0.25, axis=1)


def _weighted(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the weighted sums of numbers that may be -inf, where a weight of 0 leaves them out."""
    lost = np.isneginf(x)
    return np.where(weights @ lost > 0, -np.inf, weights @ np.where(lost, 0.0, x))


def _unbounded(value: np.ndarray) -> Interval:
    return Interval(value, np.full_like(value, -np.inf), np.full_like(value, np.inf))
