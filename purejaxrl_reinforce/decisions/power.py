"""How many seeds a sweep needs: simulations of the ranking's test with the scores of a pilot."""

import bisect
import functools

import numpy as np

from purejaxrl_reinforce.decisions.looks import decide
from purejaxrl_reinforce.statistics import MIN_SEEDS, interquartile_mean

# How often the best setting is to be found.
POWERS = (0.8, 0.95)
# More are not planned: differences that need them are too small to be worth it.
MOST_SEEDS = 512
_STUDIES = 1_000
# Numbers of seeds that are tried, evenly spaced on a log scale: they are found to 3%.
_NUM_SIZES = 134

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
    power = functools.cache(lambda size: found_share(populations, size, _STUDIES))
    spread = np.geomspace(MIN_SEEDS, MOST_SEEDS, _NUM_SIZES)
    sizes, found = np.unique(spread.round().astype(int)).tolist(), []
    for target in POWERS:
        place = bisect.bisect_left(sizes, target, key=power)
        fewest = None if place == len(sizes) else sizes[place]
        found.append((fewest, power(fewest or MOST_SEEDS)))
    return found


def found_share(populations: Scores, num_seeds: int, studies: int, seed: int = 0) -> float:
    """Return how often a ranking of so many seeds finds all others worse than the best."""
    (best, *_), random = runner_up(populations), np.random.default_rng(seed)
    drawn = (
        {i: random.choice(x, num_seeds) for i, x in populations.items()} for _ in range(studies)
    )
    return float(np.mean([decide(scores).left == [best] for scores in drawn]))
