"""How many seeds a sweep needs."""

import numpy as np
import pytest

from purejaxrl_reinforce.decisions import power
from purejaxrl_reinforce.decisions.power import found_share, plan_seeds, runner_up, set_apart
from purejaxrl_reinforce.statistics import interquartile_mean


def pilot(*means, seeds=16):
    random = np.random.default_rng(0)
    return {i: mean + random.standard_normal(seeds) for i, mean in enumerate(means)}


def means(scores):
    return [float(interquartile_mean(x)) for x in scores.values()]


def test_settings_are_set_apart():
    scores = pilot(0, 10, 9, 5)
    assert runner_up(scores)[:2] == (1, 2)
    found = means(set_apart(scores, 3.0))
    assert found[1] - found[2] == pytest.approx(3)
    assert [found[0], found[1], found[3]] == [means(scores)[i] for i in (0, 1, 3)]
    found = means(set_apart(scores, 7.0))
    np.testing.assert_allclose(found[1] - np.array(found)[[2, 3]], 7)
    lost = scores | {0: np.full(16, -np.inf)}
    assert means(set_apart(lost, 3.0))[0] == -np.inf


def test_the_planned_seeds_have_the_power_that_was_planned():
    scores = pilot(0, 1.5, -4)
    planned = plan_seeds(scores, 1.2)
    populations = set_apart(scores, 1.2)
    assert planned[0][0] < planned[1][0]
    for target, (num_seeds, promised) in zip(power.POWERS, planned, strict=True):
        assert target <= promised
        reached = found_share(populations, num_seeds, studies=1000, seed=1)
        assert abs(reached - promised) < 0.03 + 0.015  # with the error of both simulations


def test_a_difference_may_be_too_small(monkeypatch):
    monkeypatch.setattr(power, "MOST_SEEDS", 20)
    monkeypatch.setattr(power, "_STUDIES", 50)
    assert [x for x, _ in plan_seeds(pilot(0, 1), 0.01)] == [None, None]
