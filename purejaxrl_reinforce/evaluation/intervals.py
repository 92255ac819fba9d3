"""How sure a mean is: 95% intervals of Student's t distribution."""

from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

_COVERAGE = 0.95
# Returns are summed in single precision on one side and in double on the other.
_ROUNDING = 1e-5


class Interval(NamedTuple):
    """An estimate with the 95% interval around it: numbers, or arrays of one shape."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mean_interval(samples: np.ndarray) -> Interval:
    """Return the mean over the first axis of `samples`, [S, ...], with its t interval.

    The interval is mean +- t(S - 1) s / sqrt(S), for samples that are roughly normal or many. It
    has no width where all samples are equal, and no bounds where there is one sample only.
    """
    mean = samples.mean(axis=0)
    if len(samples) < 2:
        return Interval(mean, np.full_like(mean, -np.inf), np.full_like(mean, np.inf))
    half = _t(len(samples) - 1) * np.sqrt(_variance_of_mean(samples))
    return Interval(mean, mean - half, mean + half)


def difference_interval(a: np.ndarray, b: np.ndarray) -> Interval:
    """Return mean(a) - mean(b) with its Welch interval, for independent samples [A] and [B].

    That is a t interval whose degrees of freedom follow from both variances, which may differ.
    It is widened by the rounding of single precision, so that two sides without any variance
    still compare as equal where they are. With one sample on a side it has no bounds.
    """
    difference = np.asarray(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return Interval(difference, np.asarray(-np.inf), np.asarray(np.inf))
    parts = np.array([_variance_of_mean(a), _variance_of_mean(b)])
    half = _ROUNDING * max(abs(a.mean()), abs(b.mean()))
    if parts.any():
        degrees = parts.sum() ** 2 / (parts**2 / [len(a) - 1, len(b) - 1]).sum()
        half += _t(degrees) * np.sqrt(parts.sum())
    return Interval(difference, difference - half, difference + half)


def _variance_of_mean(samples: np.ndarray) -> np.ndarray:
    return samples.var(axis=0, ddof=1) / len(samples)


def _t(degrees: float) -> float:
    return float(stdtrit(degrees, (1 + _COVERAGE) / 2))
