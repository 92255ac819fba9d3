"""Ratios of timings, with bootstrap 95% intervals."""

from collections.abc import Sequence

import numpy as np

from purejaxrl_reinforce.output.interval import Interval

_RESAMPLES = 2_000
_COVERAGE = (2.5, 97.5)


def ratio_of_medians(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return median(a) / median(b), of samples from separate runs."""
    random = _random()

    def medians(x: Sequence[float]) -> np.ndarray:
        return _median(np.asarray(x)[random.integers(len(x), size=(_RESAMPLES, len(x)))])

    value = _divided(_median(np.asarray(a)), _median(np.asarray(b)))
    return _with_interval(value, _divided(medians(a), medians(b)))


def _random() -> np.random.Generator:
    # A fixed seed: the same two files always compare the same.
    return np.random.default_rng(0)


def _median(x: np.ndarray) -> np.ndarray:
    return np.median(x, axis=-1)


def _divided(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a / b; a task that both never finished (infinite) has not changed: 1."""
    both = np.isinf(a) & np.isinf(b)
    return np.divide(np.where(both, 1.0, a), np.where(both, 1.0, b))


def _with_interval(value: np.ndarray, resampled: np.ndarray) -> Interval:
    # Interpolating between a finite and an infinite ratio would give NaN.
    low, high = np.percentile(resampled, _COVERAGE, method="inverted_cdf")
    return Interval(float(value), float(low), float(high))
