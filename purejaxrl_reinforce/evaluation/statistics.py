"""Statistics of scores over seeds that few lucky or diverged seeds cannot sway.

They follow Agarwal et al. (2021), "Deep reinforcement learning at the edge of the statistical
precipice", as do those of their library rliable. Scores may be -inf, worse than any number, but
not NaN. All intervals are 95% intervals, and the same scores always get the same one.
"""

import warnings
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from purejaxrl_reinforce.output.interval import Interval

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


_TAIL = (1 - _COVERAGE) / 2

_RESAMPLES = 2_000

# Numbers that are drawn at a time: they stay in the processor's cache, and many seeds take longer,
# not more memory.
_MOST_DRAWN = 2**16


class Quartiles(NamedTuple):
    """What a quarter, a half and three quarters of some numbers do not exceed."""

    lower: float
    median: float
    upper: float


def interquartile_mean(scores: np.ndarray, axis: int | tuple[int, ...] | None = None) -> np.ndarray:
    """Return the mean of what is left without the lowest and the highest quarter.

    Of n numbers n // 4, rounded down, go on either side, as in `scipy.stats.trim_mean`.

    Args:
        scores: of any shape.
        axis: what the mean is over; None: everything.
    """
    axes = normalize_axis_tuple(range(scores.ndim) if axis is None else axis, scores.ndim)
    last = np.moveaxis(scores, axes, range(-len(axes), 0))
    flat = last.reshape(*last.shape[: scores.ndim - len(axes)], -1)
    n = flat.shape[-1]
    cut = n // 4
    return np.partition(flat, (cut, n - cut - 1), axis=-1)[..., cut : n - cut].mean(axis=-1)


def bootstrap_interval(
    scores: np.ndarray, statistic: Callable[[np.ndarray], np.ndarray]
) -> Interval:
    """Return a statistic with its percentile interval under the stratified bootstrap.

    Each task's runs are drawn anew from that task's runs only (Agarwal et al. 2021, section 4.1).
    The interval has no width where all scores are equal, and no bounds where there is one run.

    Args:
        scores: [runs, tasks].
        statistic: of sets of scores, [sets, runs, tasks] to [sets, ...].
    """
    value = statistic(scores[None])[0]
    if len(scores) < 2:
        return _unbounded(value)
    random = _random()
    resampled = [
        statistic(
            np.take_along_axis(
                scores[None], random.integers(len(scores), size=(sets, *scores.shape)), axis=1
            )
        )
        for sets in _chunks(scores.size)
    ]
    return _bounded(value, np.concatenate(resampled))


def binomial_interval(successes: int, trials: int) -> Interval:
    """Return the fraction of successes with its exact interval.

    That of Clopper and Pearson (1934), which holds the true probability at least 95% of the time.

    Raises:
        ValueError: there are no trials, or not between 0 and `trials` successes.
    """
    if not 0 <= successes <= trials or not trials:
        raise ValueError(f"{successes} of {trials} is not a fraction")
    from scipy import stats

    found = stats.binomtest(successes, trials)
    low, high = found.proportion_ci(_COVERAGE, method="exact")
    return Interval(*map(np.asarray, (found.statistic, low, high)))


def probability_of_improvement(x: np.ndarray, y: np.ndarray) -> Interval:
    """Return how probably a run of one setting scores higher than a run of another.

    That is the share of all pairs i, j with x_i > y_j; ties count one half (the statistic U of
    Mann and Whitney over the number of pairs). The interval has no bounds where there is one seed.

    Args:
        x: [seeds], scores of one setting.
        y: [seeds], scores of the other with the same seeds. Each bootstrap resample has the same
            seeds on both sides, so that a seed's effect on both is not noise.

    Raises:
        ValueError: the numbers of scores differ.
    """
    if x.shape != y.shape:
        raise ValueError(f"the settings do not share their seeds: {len(x)} and {len(y)} scores")
    n, order = len(x), np.argsort(y)
    below, not_above = (np.searchsorted(y[order], x, side) for side in ("left", "right"))

    def probability(counts: np.ndarray) -> np.ndarray:
        # Drawing seed i c_i times makes c_i c_j pairs of x_i and y_j.
        drawn = _running_totals(counts[order])
        wins_twice = np.einsum("nk,nk->k", counts, drawn[below] + drawn[not_above])
        return wins_twice / (2 * n**2)

    value = probability(np.ones((n, 1), int))[0]
    if n < 2:
        return _unbounded(value)
    return _bounded(value, np.concatenate([probability(c) for c in _draw_counts(n)]))


def performance_profile(scores: np.ndarray, thresholds: np.ndarray) -> Interval:
    """Return which fraction of the runs scores more than each threshold.

    More, not as much (Agarwal et al. 2021, equation 2; rliable). The interval is that of each
    threshold by itself, a bootstrap over the runs; it has no bounds where there is one run.

    Args:
        scores: [runs].
        thresholds: [n].
    """
    ordered, runs = np.sort(scores), len(scores)
    not_above = np.searchsorted(ordered, thresholds, "right")
    value = 1 - not_above / runs
    if runs < 2:
        return _unbounded(value)
    resampled = [1 - _running_totals(c)[not_above] / runs for c in _draw_counts(runs)]
    return _bounded(value, np.concatenate(resampled, axis=1).T)


def quartiles(x: np.ndarray) -> Quartiles:
    """Return the quartiles of numbers [n] of which inf stands for "never".

    Each is one of the numbers, the smallest that a quarter, a half or three quarters of them do
    not exceed: between a number and never there is nothing to interpolate.
    """
    ordered, n = np.sort(x), len(x)
    return Quartiles(*(float(ordered[-(-n * quarter // 4) - 1]) for quarter in (1, 2, 3)))


def _random() -> np.random.Generator:
    # A fixed seed: the same scores always get the same interval.
    return np.random.default_rng(0)


def _chunks(size: int) -> Iterator[int]:
    """Split the resamples, of `size` numbers each, into chunks that fit into memory."""
    most = max(1, _MOST_DRAWN // size)
    for start in range(0, _RESAMPLES, most):
        yield min(most, _RESAMPLES - start)


def _draw_counts(runs: int) -> Iterator[np.ndarray]:
    """Give, chunk by chunk, how often each resample holds each run, [runs, resamples]."""
    random = _random()
    for sets in _chunks(runs):
        drawn = random.integers(runs, size=(sets, runs))
        cells = drawn * sets + np.arange(sets)[:, None]
        yield np.bincount(cells.ravel(), minlength=runs * sets).reshape(runs, sets)


def _running_totals(counts: np.ndarray) -> np.ndarray:
    """Return the sums of the first 0, 1, ... n rows of [n, k], [n + 1, k]."""
    return np.concatenate([np.zeros_like(counts[:1]), np.cumsum(counts, axis=0)])


def _unbounded(value: np.ndarray) -> Interval:
    return Interval(value, np.full_like(value, -np.inf), np.full_like(value, np.inf))


def _bounded(value: np.ndarray, resampled: np.ndarray) -> Interval:
    """Return the interval between percentiles of [resamples, ...]."""
    # Two of the resamples, as far from either end: interpolating with -inf would give NaN.
    cut = int(_TAIL * len(resampled))
    ordered = np.partition(resampled, (cut, len(resampled) - cut - 1), axis=0)
    return Interval(value, ordered[cut], ordered[-cut - 1])
