"""Statistics over seeds: against scipy, and where the answer is known exactly."""

import itertools
from functools import partial

import numpy as np
import pytest
from scipy import stats

from purejaxrl_reinforce.evaluation import statistics
from purejaxrl_reinforce.evaluation.statistics import (
    binomial_interval,
    bootstrap_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    quartiles,
)

OVER_ALL = partial(interquartile_mean, axis=(-2, -1))


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
    np.testing.assert_array_equal(interquartile_mean(x, (0, 1)), interquartile_mean(x))


def test_a_quarter_of_the_seeds_may_have_diverged():
    x = np.array([-np.inf, 1.0, 2.0, 300.0])
    assert interquartile_mean(x) == 1.5
    assert interquartile_mean(np.array([-np.inf, -np.inf, 2.0, 300.0])) == -np.inf


@pytest.mark.parametrize("tasks", [1, 3])
def test_bootstrap_is_that_of_scipy(tasks):
    """Which resamples each task by itself, too, where the tasks are separate samples."""
    x = scores(25, tasks)
    ours = bootstrap_interval(x, OVER_ALL)

    def statistic(*columns):
        return stats.trim_mean(np.stack(columns), 0.25, axis=None)

    theirs = stats.bootstrap(
        tuple(x.T), statistic, method="percentile", vectorized=False, n_resamples=4_000, rng=1
    ).confidence_interval
    assert ours.value == pytest.approx(stats.trim_mean(x, 0.25, None), rel=1e-14)
    width = theirs.high - theirs.low
    np.testing.assert_allclose(bounds(ours), theirs, atol=0.06 * width)


def test_strata_stay_apart():
    """Tasks without any variance have none in the resamples either."""
    x = np.broadcast_to([1.0, 10.0, 100.0], (7, 3))
    mean = bootstrap_interval(x, partial(np.mean, axis=(-2, -1)))
    assert mean == (37, 37, 37)


def test_each_task_draws_its_own_runs():
    """Else the mean over a task and its opposite would be 0 in every resample."""
    x = np.random.default_rng(0).normal(size=400)
    mean = bootstrap_interval(np.stack([x, -x], axis=1), partial(np.mean, axis=(-2, -1)))
    half = 1.96 * x.std() / np.sqrt(800)
    np.testing.assert_allclose(bounds(mean), [-half, half], rtol=0.1)


def test_bootstrap_of_few_runs_is_known():
    """Of three runs 27 equally probable resamples can be drawn."""
    x = np.array([0.0, 1.0, 5.0])
    means = sorted(np.mean(drawn) for drawn in itertools.product(x, repeat=3))
    interval = bootstrap_interval(x[:, None], partial(np.mean, axis=(-2, -1)))
    # 1 of 27 is all the lowest, which is more than 2.5%.
    np.testing.assert_allclose(interval, [2, means[0], means[-1]])


def test_bootstrap_covers():
    """Of 200 experiments of 30 seeds about 95% hold the truth; a percentile interval a few less."""
    truth = interquartile_mean(scores(1_000_000, seed=99))
    held = sum(
        low <= truth <= high
        for _, low, high in (
            bootstrap_interval(scores(30, 1, seed=seed), OVER_ALL) for seed in range(200)
        )
    )
    assert 0.88 <= held / 200 <= 0.98


@pytest.mark.parametrize("most", [1, 100, 2**30])
def test_memory_does_not_change_results(most, monkeypatch):
    x, y = scores(20, 2).T

    def all_of_them():
        yield bootstrap_interval(np.stack([x, y], axis=1), OVER_ALL)
        yield probability_of_improvement(x, y)
        yield performance_profile(x, np.array([100.0, 200.0]))

    expected = list(all_of_them())
    monkeypatch.setattr(statistics, "_MOST_DRAWN", most)
    for ours, other in zip(all_of_them(), expected, strict=True):
        np.testing.assert_array_equal(ours, other)


def test_many_seeds_fit_into_memory(monkeypatch):
    drawn = []
    resample = np.take_along_axis
    monkeypatch.setattr(
        np, "take_along_axis", lambda *args, **kw: drawn.append(resample(*args, **kw)) or drawn[-1]
    )
    bootstrap_interval(scores(1024, 1), OVER_ALL)
    assert max(x.nbytes for x in drawn) <= 2**20
    assert sum(len(x) for x in drawn) == 2_000


def test_one_seed_has_no_interval():
    one = np.array([3.0])
    assert bootstrap_interval(one[:, None], OVER_ALL) == (3, -np.inf, np.inf)
    assert probability_of_improvement(one, one - 1) == (1, -np.inf, np.inf)
    profile = performance_profile(one, np.array([2.0, 3.0]))
    np.testing.assert_array_equal(profile, [[1, 0], [-np.inf] * 2, [np.inf] * 2])


def test_equal_seeds_have_an_interval_without_width():
    equal = np.full(7, 0.1)
    assert bootstrap_interval(equal[:, None], OVER_ALL) == (0.1, 0.1, 0.1)
    assert probability_of_improvement(equal, equal) == (0.5, 0.5, 0.5)
    assert probability_of_improvement(equal + 1, equal) == (1, 1, 1)
    profile = performance_profile(equal, np.array([0.0, 0.1]))
    np.testing.assert_array_equal(profile, [[1, 0]] * 3)


@pytest.mark.parametrize("trials", [1, 2, 16, 1024])
def test_binomial_interval_is_exact(trials):
    for successes in {0, 1, trials // 2, trials - 1, trials}:
        theirs = stats.binomtest(successes, trials).proportion_ci(0.95, "exact")
        ours = binomial_interval(successes, trials)
        assert ours.value == successes / trials
        np.testing.assert_allclose(bounds(ours), theirs, rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 2)])
def test_no_fraction(successes, trials):
    with pytest.raises(ValueError, match=f"{successes} of {trials} is not a fraction"):
        binomial_interval(successes, trials)


@pytest.mark.parametrize("n", [2, 5, 40])
def test_probability_of_improvement_is_u_over_all_pairs(n):
    for seed in range(5):
        x, y = scores(2, n, seed=seed) // 50  # with ties
        u = stats.mannwhitneyu(x, y).statistic
        ours, mirrored = probability_of_improvement(x, y), probability_of_improvement(y, x)
        np.testing.assert_allclose(ours.value, u / n**2, rtol=1e-14)
        np.testing.assert_allclose(bounds(ours), 1 - bounds(mirrored)[::-1], atol=1e-14)
        assert 0 <= ours.low <= ours.high <= 1


def test_diverged_on_both_sides_is_a_tie():
    x, y = np.array([-np.inf, 2.0]), np.array([-np.inf, 1.0])
    assert probability_of_improvement(x, y).value == (0.5 + 0 + 1 + 1) / 4


def test_both_settings_have_the_same_seeds_in_a_resample():
    """Its interval is that of resampled pairs, narrower than that of separate samples."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=30)
    y = x + 0.1 * rng.normal(size=30) - 0.2

    def probability(i, j):
        return stats.mannwhitneyu(x[i], y[j]).statistic / 30**2

    paired, apart = (
        stats.bootstrap(
            (np.arange(30),) * 2, probability, paired=paired, vectorized=False,
            n_resamples=3_000, method="percentile", rng=2,
        ).confidence_interval
        for paired in (True, False)
    )  # fmt: skip
    ours = probability_of_improvement(x, y)
    np.testing.assert_allclose(bounds(ours), paired, atol=0.01)
    assert ours.high - ours.low < 0.6 * (apart.high - apart.low)


def test_other_seeds_are_a_mistake():
    with pytest.raises(ValueError, match="do not share their seeds: 2 and 3 scores"):
        probability_of_improvement(np.zeros(2), np.zeros(3))


def test_performance_profile_counts_higher_scores():
    x = np.array([1.0, 2.0, 2.0, -np.inf])
    thresholds = np.array([0.0, 1.0, 1.5, 2.0])
    np.testing.assert_array_equal(performance_profile(x, thresholds).value, [0.75, 0.5, 0.5, 0])


def test_the_band_of_a_profile_is_binomial():
    """How many runs of a resample are above a threshold has a binomial distribution."""
    x = scores(40)
    thresholds = np.percentile(x, [10, 30, 50, 90])
    profile = performance_profile(x, thresholds)
    exact = stats.binom.ppf(np.array([[0.025], [0.975]]), 40, profile.value) / 40
    np.testing.assert_allclose(bounds(profile), exact, atol=1 / 40 + 1e-9)
    assert (np.diff(bounds(profile)) <= 0).all()


@pytest.mark.parametrize("n", range(1, 10))
def test_quartiles_never_interpolate(n):
    x = scores(n)
    expected = np.percentile(x, [25, 50, 75], method="inverted_cdf")
    np.testing.assert_array_equal(quartiles(x), expected)


def test_who_never_gets_there_counts():
    inf = np.inf
    assert quartiles(np.array([5.0, 3.0, inf, inf])) == (3, 5, inf)
    assert quartiles(np.array([3.0, inf, inf, inf])) == (3, inf, inf)
    assert quartiles(np.array([inf, inf])) == (inf, inf, inf)
