"""Statistics of a sweep, setting by setting.

Returns of different environments do not compare: each environment has a ranking of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from purejaxrl_reinforce import statistics
from purejaxrl_reinforce.config import get_field
from purejaxrl_reinforce.statistics import Interval, Quartiles
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.tasks import RETURN_RANGES, THRESHOLDS, first_solved, task

# Pairs grow with the square, and a larger matrix is not read.
MOST_PAIRED = 32

# How often the truly best setting may count as worse than the one that looks best.
LEVEL = 0.05


@dataclass(frozen=True)
class Summary:
    """Statistics of one setting over its seeds.

    Attributes:
        setting: its position among the sweep's settings.
        label: the swept fields and their values.
        env: only settings of one environment compare.
        num_seeds: number of agents. Each counts in everything below.
        num_diverged: agents of which an update, or the evaluation, was not finite.
        iqm: interquartile mean of the scores (see `agent_scores`) with its 95% interval.
        median: of the scores.
        worst: the lowest score.
        num_solved: agents whose score reaches the environment's threshold; None, here and below,
            where it has none.
        solved: the fraction of such agents with its exact 95% interval.
        updates: until an update's mean training return reaches the threshold, quartiles over the
            seeds; inf: never.
        env_steps: valid environment steps up to the end of that update, likewise.
        may_be_best: whether it is the best of its environment, or not significantly worse in a
            two-sided test of the interquartile means at LEVEL, divided by the number of settings
            that are compared with the best (Bonferroni).
    """

    setting: int
    label: str
    env: str
    num_seeds: int
    num_diverged: int
    iqm: Interval
    median: float
    worst: float
    num_solved: int | None
    solved: Interval | None
    updates: Quartiles | None
    env_steps: Quartiles | None
    may_be_best: bool = True


def agent_scores(results: SweepResults) -> np.ndarray:
    """Return each agent's score, [setting, seed]: the mean return of its greedy episodes.

    Diverged agents, of which an update or the evaluation was not finite, score -inf.
    """
    scores, finite = results.scores, results.metrics["finite"]
    later = np.arange(finite.shape[2]) >= results.updates[..., None]
    return np.where((finite | later).all(axis=2) & np.isfinite(scores), scores, -np.inf)


def scores_of_settings(results: SweepResults) -> list[np.ndarray]:
    """Return the scores of each setting's trained agents, see `agent_scores`."""
    scored = zip(agent_scores(results), results.trained, strict=True)
    return [scores[trained] for scores, trained in scored]


def summarize(results: SweepResults) -> list[Summary]:
    """Return a summary of each setting with a trained agent, the best first in each environment.

    Settings are ranked by interquartile mean. Ties are broken by the number of seeds that solve the
    environment, then by the worst score, then by the median of the environment steps to the
    threshold. Environments come in the order in which they were given.
    """
    labels, scores = results.labels, scores_of_settings(results)
    summaries = [_summary(results, i, labels[i], x) for i, x in enumerate(scores) if x.size]
    rankings = by_env(summaries).values()
    return [s for ranked in rankings for s in _compared(sorted(ranked, key=_rank), scores)]


def _rank(summary: Summary) -> tuple[float, ...]:
    steps = summary.env_steps.median if summary.env_steps else 0.0
    return -float(summary.iqm.value), -(summary.num_solved or 0), -summary.worst, steps


def _compared(ranked: Sequence[Summary], scores: Sequence[np.ndarray]) -> list[Summary]:
    """Compare all but the first, the best, with it; each test is one-sided, at half the level."""
    best, *others = ranked
    compared = np.concatenate([scores[summary.setting] for summary in ranked])
    finite = compared[np.isfinite(compared)]
    ends = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    level = LEVEL / 2 / max(1, len(others))
    x = scores[best.setting]
    tests = [statistics.interquartile_mean_test(x, scores[other.setting], ends) for other in others]
    tested = zip(others, tests, strict=True)
    return [best, *(replace(other, may_be_best=test > level) for other, test in tested)]


def score_interval(env: str, scores: np.ndarray) -> Interval:
    """Return the interquartile mean of scores, its interval within the possible returns."""
    possible = RETURN_RANGES.get(env, (-np.inf, np.inf))
    iqm = statistics.interquartile_mean_interval(scores)
    bounds = (bound if np.isinf(bound) else np.clip(bound, *possible) for bound in iqm[1:])
    return Interval(iqm.value, *bounds)


def by_env(summaries: Sequence[Summary]) -> dict[str, list[Summary]]:
    """Return the summaries of each environment, in their order."""
    envs = dict.fromkeys(summary.env for summary in summaries)
    return {env: [s for s in summaries if s.env == env] for env in envs}


def summary_dict(results: SweepResults, summaries: Sequence[Summary]) -> dict[str, Any]:
    """Return everything for `dump_json`.

    Steps to a threshold that is never reached, the score of a diverged agent and both bounds of an
    interval for which the seeds are too few are infinite. None stands for all that needs a
    threshold where the environment has none.

    `settings`, in the order of `summaries`, have its attributes and the `swept` values by field.
    """
    settings = [
        {**vars(s), "swept": {x: get_field(results.configs[s.setting], x) for x in results.axes}}
        for s in summaries
    ]
    return {"settings": settings, "comparisons": comparisons(results, summaries)}


def comparisons(results: SweepResults, summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Compare every setting with every other, in each environment with 2 to MOST_PAIRED settings.

    Returns:
        `env`, its `settings`, the best first, and matrices `value`, `low` and `high`: in row i and
        column j, how probably a seed of the i-th scores higher than one of the j-th, with its 95%
        interval.
    """
    scores, found = scores_of_settings(results), []
    for env, ranked in by_env(summaries).items():
        if 2 <= len(ranked) <= MOST_PAIRED:
            settings = [summary.setting for summary in ranked]
            # Of a setting and itself, every pair of seeds has its mirror image.
            pairs = [
                statistics.probability_of_improvement(scores[i], scores[j]) if i != j else [0.5] * 3
                for i in settings
                for j in settings
            ]
            matrices = np.array(pairs, float).T.reshape(3, len(ranked), len(ranked))
            named = zip(Interval._fields, matrices, strict=True)
            found.append({"env": env, "settings": settings, **dict(named)})
    return found


def _summary(results: SweepResults, i: int, label: str, scores: np.ndarray) -> Summary:
    env = task(results.configs[i])
    num_solved = solved = updates = env_steps = None
    if env in THRESHOLDS:
        num_solved = int((scores >= THRESHOLDS[env]).sum())
        solved = statistics.binomial_interval(num_solved, len(scores))
        trained, names = results.trained[i], ("mean_return", "env_steps")
        returns, steps = (results.metrics[name][i][trained] for name in names)
        numbers = [first_solved(results.configs[i], seed) for seed in returns]
        until = [seed[n - 1] if n else np.inf for n, seed in zip(numbers, steps, strict=True)]
        updates = statistics.quartiles(np.array([n or np.inf for n in numbers]))
        env_steps = statistics.quartiles(np.array(until, float))
    return Summary(
        setting=i,
        label=label,
        env=env,
        num_seeds=len(scores),
        num_diverged=int(np.isinf(scores).sum()),
        iqm=score_interval(env, scores),
        median=float(np.median(scores)),
        worst=float(scores.min()),
        num_solved=num_solved,
        solved=solved,
        updates=updates,
        env_steps=env_steps,
    )
