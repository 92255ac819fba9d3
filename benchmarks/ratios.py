"""Ratios of samples that were taken in turn."""

from collections.abc import Sequence

import numpy as np

from purejaxrl_reinforce.output.interval import Interval


def paired_ratio(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return the median of a_i / b_i, of samples that were taken in turn, with its 95% interval.

    What disturbs both of a pair alike, such as a clock that changes, cancels. The interval is
    that of the percentile bootstrap.

    Raises:
        ValueError: the samples are not pairs.
    """
    ratios = np.array([x / y for x, y in zip(a, b, strict=True)])
    drawn = np.random.default_rng(0).integers(len(ratios), size=(2_000, len(ratios)))
    low, high = np.percentile(np.median(ratios[drawn], axis=1), (2.5, 97.5))
    return Interval(float(np.median(ratios)), float(low), float(high))
