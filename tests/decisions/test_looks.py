"""Which settings are called worse, and when a study ends."""

import numpy as np
import pytest
from scipy import stats

from purejaxrl_reinforce.decisions.looks import LEVEL, decide, differences, look_sizes


def study(*settings, seeds=64, seed=0):
    """Scores of settings that are drawn by functions of standard normal numbers."""
    random = np.random.default_rng(seed)
    return {i: draw(random.standard_normal(seeds)) for i, draw in enumerate(settings)}


def normal(mean=0.0, spread=1.0):
    return lambda z: mean + spread * z


def solving(share, high, low=0.0):
    return lambda z: np.where(z < stats.norm.ppf(share), high, low)


def failing(z):
    return np.where(z < 0, 50, 450) + 20 * z


def ceiling(z):
    return np.minimum(500 + 100 * z, 500)


@pytest.mark.parametrize("most", [3, 10, 12, 16, 64, 1000])
def test_looks_grow_up_to_the_most_seeds(most):
    sizes = look_sizes(most)
    assert sizes[0] == min(10, most)
    assert sizes[-1] == most
    assert (np.diff(sizes) > 0).all()


@pytest.mark.parametrize("draw", [normal(), failing, ceiling], ids=["normal", "failing", "ceiling"])
@pytest.mark.parametrize("count", [2, 6])
def test_equal_settings_are_told_apart_in_at_most_5_of_100_studies(draw, count):
    repeats = 200
    wrong = sum(
        len(decide(study(*[draw] * count, seeds=32, seed=i), look_sizes(32)).left) < count
        for i in range(repeats)
    )
    assert wrong / repeats <= LEVEL + 3 * np.sqrt(LEVEL * (1 - LEVEL) / repeats)


def test_settings_leave_one_after_the_other():
    scores = study(normal(), normal(-8), normal(-1.5), normal(-20))
    decision = decide(scores, look_sizes(64))
    assert decision.verdict == "best"
    assert decision.left == [0]
    first, *later = decision.looks
    assert {1, 3} <= set(first.worse)
    assert sorted(i for look in decision.looks for i in look.worse) == [1, 2, 3]
    assert decision.num_seeds == decision.looks[-1].num_seeds < 64
    for look in later:
        assert set(look.p_values) | {look.best} <= {0, 2}
    for look in decision.looks:
        assert all((p <= look.level) == (i in look.worse) for i, p in look.p_values.items())


def test_what_is_decided_depends_on_the_scores_of_the_looks_alone():
    """A study goes on where scores are missing, and later scores change nothing."""
    scores = study(normal(), normal(-8), normal(-1.5))
    sizes = look_sizes(64)
    whole = decide(scores, sizes)
    for known in range(0, 64, 7):
        part = decide({i: x[:known] for i, x in scores.items()}, sizes)
        assert part.looks == whole.looks[: len(part.looks)]
        assert part.verdict == ("best" if known >= whole.num_seeds else "goes on")
        assert part.num_seeds in sizes
    out = {i: x[:10] if i == 1 else x for i, x in scores.items()}
    assert decide(out, sizes) == whole


@pytest.mark.parametrize("n", [10, 20])
@pytest.mark.parametrize(
    "settings",
    [
        [solving(0.3, 93.0), normal(5)],
        [solving(0.35, 500.0, 100.0), normal(170, 20)],
        [normal(495), *[solving(0.74, 500.0)] * 8],  # of which one looks perfect in ten seeds
        [normal(0, 5), *[normal()] * 8],
        [ceiling] * 4,
    ],
    ids=["30% solve it", "35% solve it", "26% fail", "spreads differ", "half at the ceiling"],
)
def test_the_best_setting_is_kept_in_95_of_100_sweeps(settings, n):
    # Three standard errors of 150 sweeps below 95%.
    kept = [0 in decide(study(*settings, seeds=n, seed=i)).left for i in range(150)]
    assert np.mean(kept) > 0.95 - 0.053


def test_a_setting_that_is_worse_by_two_deviations_is_told_by_twenty_seeds():
    settings = [normal(), *[normal(-2)] * 4]
    studies = (study(*settings, seeds=20, seed=i) for i in range(50))
    p = [p for x in studies for p in decide(x).looks[0].p_values.values()]
    assert np.mean(np.array(p) < 0.025 / 8) > 0.95


def test_equal_scores_decide_nothing():
    (look,) = decide({i: np.full(30, 500.0) for i in range(3)}).looks
    assert (look.p_values, look.worse) == ({1: 1, 2: 1}, [])


def test_intervals_of_differences_leave_out_0_where_a_setting_is_worse():
    for seed in range(5):
        scores = study(*(normal(-0.5 * i) for i in range(5)), seeds=30, seed=seed)
        decision = decide(scores)
        found = differences(scores, decision)
        assert found.keys() == scores.keys() - {decision.looks[0].best}
        for setting, difference in found.items():
            assert difference.low < difference.value < difference.high
            assert (difference.high < 0) == (setting not in decision.left)


def test_settings_that_differ_by_less_than_a_margin_end_a_study():
    scores = study(normal(), normal(), normal(-20))
    decision = decide(scores, look_sizes(64), 5.0)
    assert (decision.verdict, decision.left) == ("equal", [0, 1])
    assert decision.num_seeds < 64
    assert decide(scores, look_sizes(64), 0.01).verdict == "undecided"
    # Settings that differ by the margin are seldom called equal.
    apart = (study(normal(), normal(-1), seeds=30, seed=i) for i in range(100))
    assert sum(decide(x, look_sizes(30), 1.0).verdict == "equal" for x in apart) <= 5


def test_few_seeds_decide_nothing():
    scores = study(normal(), normal(-1000), seeds=9)
    decision = decide(scores)
    assert (decision.verdict, decision.left) == ("undecided", [0, 1])
    (difference,) = differences(scores, decision).values()
    assert (difference.low, difference.high) == (-np.inf, np.inf)


def test_diverged_settings_are_out():
    scores = study(normal(), normal()) | {2: np.full(64, -np.inf)}
    decision = decide(scores, look_sizes(64))
    assert decision.looks[0].worse == [2]
    assert differences(scores, decision)[2] == (-np.inf, -np.inf, -np.inf)
    lost = {i: np.full(20, -np.inf) for i in range(2)}
    assert decide(lost).verdict == "undecided"
    assert decide(study(normal()), look_sizes(64)).verdict == "best"
