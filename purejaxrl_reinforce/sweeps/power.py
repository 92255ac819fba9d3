"""How many seeds a study needs: simulations of the ranking's test with the scores of a pilot."""

from typing import NamedTuple

import numpy as np

from purejaxrl_reinforce.statistics import MIN_SEEDS, interquartile_mean
from purejaxrl_reinforce.sweeps.decisions import decide, look_sizes

# That a plan gives seeds for.
POWERS = (0.8, 0.95)
# More are not planned: differences that need them are too small to be worth it.
MOST_SEEDS = 1_000
_STUDIES = 1_000
# Of studies with several looks, whose median is wanted.
_LOOKING_STUDIES = 200
# Numbers of seeds are found to this ratio.
_PRECISION = 1.03

Scores = dict[int, np.ndarray]


class Planned(NamedTuple):
    """A number of seeds.

    Attributes:
        target: the power wanted.
        num_seeds: the fewest seeds of each setting with that power; None: more than MOST_SEEDS.
        power: of so many seeds: how often all other settings are found to be worse than the best.
        agents: median number of them until a study with several looks ends, of at most so many
            seeds.
    """

    target: float
    num_seeds: int | None
    power: float
    agents: float


def runner_up(pilot: Scores) -> tuple[int, int, float]:
    """Return the best setting of a pilot, the second best, and how far their means are apart."""
    means = {i: float(interquartile_mean(x)) for i, x in pilot.items()}
    best, second = sorted(means, key=means.__getitem__, reverse=True)[:2]
    return best, second, means[best] - means[second] if means[best] > -np.inf else 0.0


def set_apart(pilot: Scores, difference: float) -> Scores:
    """Return scores of which the second best setting's mean is so much below the best's.

    Others that are less far below are moved down too. All keep their distributions otherwise.
    """
    best, second, _ = runner_up(pilot)
    highest = float(interquartile_mean(pilot[best]))
    moved = {}
    for i, x in pilot.items():
        excess = float(interquartile_mean(x)) - (highest - difference)
        moves = i != best and np.isfinite(excess) and (i == second or excess > 0)
        moved[i] = x - excess if moves else x
    return moved


def plan_seeds(pilot: Scores, difference: float) -> list[Planned]:
    """Return the seeds for each of POWERS, where the best is better than all by a difference.

    The pilot's scores, moved by `set_apart`, stand for all scores that a setting may have.
    """
    populations, known = set_apart(pilot, difference), {}

    def power(num_seeds: int) -> float:
        if num_seeds not in known:
            known[num_seeds] = decided_share(populations, num_seeds, _STUDIES)
        return known[num_seeds]

    return [_planned(populations, target, power) for target in POWERS]


def _planned(populations: Scores, target: float, power) -> Planned:
    low, high = MIN_SEEDS, MIN_SEEDS
    while power(high) < target:
        if high == MOST_SEEDS:
            return Planned(target, None, power(high), np.nan)
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1 and high > low * _PRECISION:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= target else (middle, high)
    agents = [agents_until_decided(x, high) for x in _studies(populations, high, _LOOKING_STUDIES)]
    return Planned(target, high, power(high), float(np.median(agents)))


def decided_share(populations: Scores, num_seeds: int, studies: int, seed: int = 0) -> float:
    """Return how often a ranking of so many seeds finds all others worse than the best."""
    best, *_ = runner_up(populations)
    drawn = _studies(populations, num_seeds, studies, seed)
    return float(np.mean([decide(x, [num_seeds]).left == [best] for x in drawn]))


def agents_until_decided(scores: Scores, most: int) -> int:
    """Return how many agents a study trains that looks after groups of seeds."""
    decision, used, before = decide(scores, look_sizes(most)), 0, 0
    for look in decision.looks:
        used += (look.num_seeds - before) * (len(look.p_values) + 1)
        before = look.num_seeds
    return used


def _studies(populations: Scores, num_seeds: int, studies: int, seed: int = 0):
    random = np.random.default_rng(seed)
    for _ in range(studies):
        yield {i: random.choice(x, num_seeds) for i, x in populations.items()}
