"""How many seeds a sweep needs: simulations of the ranking's test with the scores of a pilot."""

import functools
from collections.abc import Callable

import numpy as np

from purejaxrl_reinforce.decisions.looks import decide
from purejaxrl_reinforce.statistics import MIN_SEEDS, interquartile_mean

# How often the best setting is to be found.
POWERS = (0.8, 0.95)
# More are not planned: differences that need them are too small to be worth it.
MOST_SEEDS = 512
_STUDIES = 1_000
# Numbers of seeds are found to this ratio.
_PRECISION = 1.03

Scores = dict[int, np.ndarray]


def runner_up(pilot: Scores) -> tuple[int, int, float]:
    """Return the best setting of a pilot, the second best, and how far their means are apart."""
    means = {i: float(interquartile_mean(x)) for i, x in pilot.items()}
    best, second = sorted(means, key=means.__getitem__, reverse=True)[:2]
    return best, second, means[best] - means[second] if means[best] > -np.inf else 0.0


def set_apart(pilot: Scores, difference: float) -> Scores:
    """Return scores of which the second best setting's mean is so much below the best's.

    Others that are less far below are moved down, too. Distributions stay the same otherwise.
    """
    best, second, _ = runner_up(pilot)
    highest, moved = float(interquartile_mean(pilot[best])), dict(pilot)
    for i, x in pilot.items():
        excess = float(interquartile_mean(x)) - (highest - difference)
        if i != best and np.isfinite(excess) and (i == second or excess > 0):
            moved[i] = x - excess
    return moved


def plan_seeds(pilot: Scores, difference: float) -> list[tuple[int | None, float]]:
    """Return the fewest seeds for each of POWERS, and the power that they have.

    All others are worse by a difference or more; the pilot's scores, moved by `set_apart`, stand
    for all scores that a setting may have. None: more seeds than are planned.
    """
    populations = set_apart(pilot, difference)
    power = functools.cache(lambda num_seeds: found_share(populations, num_seeds, _STUDIES))
    return [_fewest(power, target) for target in POWERS]


def _fewest(power: Callable[[int], float], target: float) -> tuple[int | None, float]:
    low = high = MIN_SEEDS
    while power(high) < target:
        if high == MOST_SEEDS:
            return None, power(high)
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1 and high > low * _PRECISION:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= target else (middle, high)
    return high, power(high)


def found_share(populations: Scores, num_seeds: int, studies: int, seed: int = 0) -> float:
    """Return how often a ranking of so many seeds finds all others worse than the best."""
    (best, *_), random = runner_up(populations), np.random.default_rng(seed)
    drawn = (
        {i: random.choice(x, num_seeds) for i, x in populations.items()} for _ in range(studies)
    )
    return float(np.mean([decide(scores).left == [best] for scores in drawn]))
