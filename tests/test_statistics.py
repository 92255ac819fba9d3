"""Statistics over seeds: against scipy, and where the answer is known exactly."""

import math

import numpy as np
import pytest
from scipy import stats

from purejaxrl_reinforce.statistics import (
    binomial_interval,
    difference_interval,
    difference_of_draws,
    draw_interquartile_means,
    interquartile_mean,
    interquartile_mean_interval,
    mean_interval,
    performance_profile,
    quartiles,
    share_not_above,
)

UNBOUNDED = (-np.inf, np.inf)


def scores(*shape, seed=0):
    return np.random.default_rng(seed).gamma(2, 100, size=shape)


def bounds(interval):
    return np.array([interval.low, interval.high])


@pytest.mark.parametrize("n", range(1, 14))
def test_interquartile_mean_is_a_trimmed_mean(n):
    x = scores(n, 5)
    for axis in (0, 1, None):
        np.testing.assert_allclose(
            interquartile_mean(x, axis), stats.trim_mean(x, 0.25, axis), rtol=1e-14
        )


def test_a_quarter_of_the_seeds_may_have_diverged():
    x = np.array([-np.inf, 1.0, 2.0, 300.0])
    assert interquartile_mean(x) == 1.5
    assert interquartile_mean(np.array([-np.inf, -np.inf, 2.0, 300.0])) == -np.inf


@pytest.mark.parametrize(("n", "zeros"), [(16, 8), (16, 5), (30, 15), (30, 20), (200, 70)])
def test_interval_of_two_scores_is_that_of_order_statistics(n, zeros):
    """The fraction of the population below the k-th of n scores has a beta distribution."""
    interval = interquartile_mean_interval(np.repeat([0.0, 1.0], [zeros, n - zeros]))
    most_zeros = stats.beta.ppf(0.975, zeros + 1, n - zeros)
    fewest_zeros = stats.beta.ppf(0.025, zeros, n - zeros + 1)
    expected = [1 - np.clip(2 * (x - 0.25), 0, 1) for x in (most_zeros, fewest_zeros)]
    np.testing.assert_allclose(bounds(interval), expected, atol=0.03)


@pytest.mark.parametrize("n", [5, 12, 40])
def test_interval_of_the_interquartile_mean_moves_with_the_scores(n):
    x = scores(n)
    interval = interquartile_mean_interval(x)
    assert interval.value == interquartile_mean(x)
    assert interval.low < interval.value < interval.high
    for moved in (interquartile_mean_interval(y) for y in (3 * x - 7, 3 * x[::-1] - 7)):
        np.testing.assert_allclose(moved, 3 * np.array(interval) - 7, rtol=1e-12)


def test_diverged_seeds_leave_the_interval_without_a_lower_end():
    """Where they may be a quarter of the population, and no others."""
    x = np.arange(40.0)
    x[:2] = -np.inf
    few = interquartile_mean_interval(x)
    assert np.isfinite(bounds(few)).all()
    x[:8] = -np.inf
    many = interquartile_mean_interval(x)
    assert (many.value, many.low, many.high) == (19.5, -np.inf, pytest.approx(few.high))
    x[:] = -np.inf
    assert interquartile_mean_interval(x) == (-np.inf,) * 3


@pytest.mark.parametrize("n", range(1, 10))
def test_too_few_seeds_have_no_interval(n):
    assert interquartile_mean_interval(scores(n))[1:] == UNBOUNDED


@pytest.mark.parametrize(("n", "expected"), [(10, UNBOUNDED), (11, (0.5, 0.5))])
def test_equal_scores_of_few_seeds_say_little(n, expected):
    """Where a quarter of the population scores less, 10 of 10 still score the same in 5.6%."""
    interval = interquartile_mean_interval(np.full(n, 0.5))
    assert interval.value == 0.5
    np.testing.assert_allclose(bounds(interval), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [5, 10, 30])
@pytest.mark.parametrize("name", ["exponential", "ceiling"])
def test_interval_of_the_interquartile_mean_covers(name, n):
    draw = {
        "exponential": lambda rng, n: rng.exponential(size=n),
        "ceiling": lambda rng, n: np.minimum(rng.normal(0.5, 1, n), 0),
    }[name]
    truth = interquartile_mean(draw(np.random.default_rng(0), 1_000_000))
    rng = np.random.default_rng(n)
    found = [interquartile_mean_interval(draw(rng, n)) for _ in range(250)]
    # Of 95% intervals, 250 hold the truth less often than this once in 20 times.
    assert np.mean([low - 1e-9 <= truth <= high + 1e-9 for _, low, high in found]) >= 0.928


@pytest.mark.parametrize("trials", [1, 16])
def test_binomial_interval_is_exact(trials):
    for successes in {0, 1, trials // 2, trials - 1, trials}:
        theirs = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
        ours = binomial_interval(successes, trials)
        assert ours.value == successes / trials
        np.testing.assert_allclose(bounds(ours), theirs, rtol=1e-10, atol=1e-15)


def test_performance_profile_counts_higher_scores():
    profile = performance_profile(np.array([1.0, 2.0, 2.0, -np.inf]), np.array([0, 1, 1.5, 2]))
    np.testing.assert_array_equal(profile.value, [0.75, 0.5, 0.5, 0])
    np.testing.assert_array_equal(profile, binomial_interval(np.array([3, 2, 2, 0]), 4))


@pytest.mark.parametrize("n", range(1, 10))
def test_quartiles_never_interpolate(n):
    """Who never gets there counts."""
    for x in (scores(n), np.where(np.arange(n) < n // 2, np.inf, scores(n))):
        expected = [np.sort(x)[math.ceil(n * quarter / 4) - 1] for quarter in (1, 2, 3)]
        np.testing.assert_array_equal(quartiles(x), expected)


def test_pairs_of_draws_give_p_values_and_bounds_of_differences():
    """The test at a level refuses a difference where it lies outside of the bounds."""
    random = np.random.default_rng(0)
    a, b = (mean + random.standard_normal(20) for mean in (1.0, 0.0))
    ends = min(a.min(), b.min()), max(a.max(), b.max())
    x, y = draw_interquartile_means(a, ends, 0), draw_interquartile_means(b, ends, 1)
    assert share_not_above(x, y) == pytest.approx((x[:, None] <= y).mean())
    low, high = difference_of_draws(x, y, 0.025)
    assert low < interquartile_mean(a) - interquartile_mean(b) < high
    for bound, first, second, sign in ((low, x, y, 1), (high, y, x, -1)):
        assert share_not_above(first, second, sign * bound - 0.01) <= 0.025
        assert share_not_above(first, second, sign * bound + 0.01) > 0.025


def test_diverged_seeds_are_worse_than_any():
    lost, ones = (draw_interquartile_means(np.full(20, x), (1, 1), 0) for x in (-np.inf, 1.0))
    assert share_not_above(ones, lost) == 0
    assert share_not_above(lost, ones) == share_not_above(lost, lost) == 1
    assert difference_of_draws(ones, lost, 0.025) == (np.inf, np.inf)
    assert difference_of_draws(lost, lost, 0.025) == (-np.inf, np.inf)
    assert difference_of_draws(ones, ones, 0.025) == (0, 0)


def test_intervals_of_the_interquartile_mean_of_several_samples():
    x = scores(6, 4)
    x[:, 1], x[:3, 2] = 7.0, -np.inf
    together = interquartile_mean_interval(x)
    for column in range(4):
        alone = interquartile_mean_interval(x[:, column])
        np.testing.assert_allclose([part[column] for part in together], alone, rtol=1e-12)


def test_intervals_of_means_are_students_and_welchs():
    x, y = scores(8, 3), scores(5, 3, seed=1)
    theirs = stats.t.interval(0.95, 7, x.mean(axis=0), stats.sem(x))
    np.testing.assert_allclose(mean_interval(x), [x.mean(axis=0), *theirs], rtol=1e-12)
    for a, b in zip(x.T, y.T, strict=True):
        theirs = stats.ttest_ind(a, b, equal_var=False).confidence_interval()
        found = bounds(difference_interval(a, b))
        np.testing.assert_allclose(found, theirs, atol=1e-5 * max(a.mean(), b.mean()))


def test_sides_without_variance():
    same = difference_interval(np.full(9, 500.0), np.full(5, 500.0))
    assert same.low <= 0 <= same.high
    other = difference_interval(np.full(9, 500.0), np.full(5, 499.0))
    assert other.low > 0
    assert tuple(bounds(mean_interval(np.ones(1)))) == UNBOUNDED
