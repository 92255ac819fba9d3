"""Statistics of a sweep, setting by setting.

Returns of different environments do not compare: each environment has a ranking of its own.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from purejaxrl_reinforce import statistics
from purejaxrl_reinforce.config import get_field
from purejaxrl_reinforce.decisions.looks import decide, differences, look_sizes
from purejaxrl_reinforce.decisions.ranking import Ranking, Summary, show_bounds, show_score
from purejaxrl_reinforce.output.text import count
from purejaxrl_reinforce.statistics import Interval
from purejaxrl_reinforce.tasks import RETURN_RANGES, THRESHOLDS, first_solved, task

if TYPE_CHECKING:
    from purejaxrl_reinforce.sweeps.results import SweepResults


def scores_of_settings(results: "SweepResults") -> list[np.ndarray]:
    """Return the score of each setting's trained agents: the mean return of greedy episodes.

    Diverged agents, of which an update or the evaluation was not finite, score -inf.
    """
    scores, not_done = results.scores, results.metrics["num_steps"] == 0
    finite = (results.metrics["finite"] | not_done).all(axis=2) & np.isfinite(scores)
    scored = zip(np.where(finite, scores, -np.inf), results.trained, strict=True)
    return [own[trained] for own, trained in scored]


def summarize(results: "SweepResults") -> list[Summary]:
    """Return a summary of each setting with a trained agent, in the order of `rank`."""
    return [summary for ranking in rank(results) for summary in ranking.summaries]


def rank(results: "SweepResults") -> list[Ranking]:
    """Return the ranking of each environment, in the order in which they were given.

    Settings that may be the best cannot be told apart by their interquartile means. The first of
    them has the largest share of seeds that solve the environment, then the highest worst score,
    then the highest interquartile mean. The others follow by interquartile mean. Ties are broken by
    the median of the environment steps to the threshold.
    """
    scores = scores_of_settings(results)
    settings = np.flatnonzero(results.trained.any(axis=1)).tolist()
    ranked = results.by_task(settings).items()
    return [_ranked(results, env, {i: scores[i] for i in own}) for env, own in ranked]


def _ranked(results: "SweepResults", env: str, scores: dict[int, np.ndarray]) -> Ranking:
    lengths = np.array([config.num_updates for config in results.configs])
    stopped = lengths - results.done.max(axis=1)
    # Settings that were stopped before their last update are not compared.
    compared = {i: x for i, x in scores.items() if not stopped[i]} or scores
    is_study = results.equal_within is not None
    sizes = look_sizes(len(results.key_data)) if is_study else ()
    decision = decide(compared, sizes, results.equal_within or 0.0)
    found, labels = differences(scores, decision), results.labels

    def place(summary: Summary) -> tuple[float, ...]:
        mean, steps = -float(summary.iqm.value), summary.env_steps
        solved = -float(summary.solved.value) if summary.solved else 0.0
        worst, later = -summary.worst, steps.median if steps else 0.0
        if summary.may_be_best:
            return 0, solved, worst, mean, later
        return 1, float(stopped[summary.setting]), mean, solved, worst, later

    summaries = [
        _summary(results, i, labels[i], x, i in decision.left, found.get(i))
        for i, x in scores.items()
    ]
    return Ranking(env, sorted(summaries, key=place), decision, results.equal_within)


def score_interval(env: str, scores: np.ndarray) -> Interval:
    """Return the interquartile mean of scores, its interval within the possible returns."""
    possible = RETURN_RANGES.get(env, (-np.inf, np.inf))
    iqm = statistics.interquartile_mean_interval(scores)
    bounds = (bound if np.isinf(bound) else np.clip(bound, *possible) for bound in iqm[1:])
    return Interval(iqm.value, *bounds)


def best_so_far(results: "SweepResults") -> Iterator[str]:
    """Yield the best setting of each environment among the agents that are trained."""
    scores, labels = scores_of_settings(results), results.labels
    tasks = results.by_task(np.flatnonzero(results.trained.any(axis=1)).tolist())
    for env, settings in tasks.items():
        i = max(settings, key=lambda i: float(statistics.interquartile_mean(scores[i])))
        interval = score_interval(env, scores[i])
        score = f"{show_score(interval.value)} {show_bounds(interval)}"
        of = f" of {env}" if len(tasks) > 1 else ""
        setting = f", setting {i}: {labels[i]}" if len(labels) > 1 else ""
        yield f"best greedy return{of} so far {score}, {count(len(scores[i]), 'seed')}{setting}"


def summary_dict(results: "SweepResults", rankings: Sequence[Ranking]) -> dict[str, Any]:
    """Return everything for `dump_json`.

    Steps to a threshold that is never reached, the score of a diverged agent and both bounds of an
    interval for which the seeds are too few are infinite. None stands for all that needs a
    threshold where the environment has none.

    `settings`, in the order of the rankings, have the attributes of `Summary` and the `swept`
    values by field. `decisions` have those of `decisions.Decision` for each environment.
    """
    summaries = [summary for ranking in rankings for summary in ranking.summaries]
    settings = [
        {**vars(s), "swept": {x: get_field(results.configs[s.setting], x) for x in results.axes}}
        for s in summaries
    ]
    decided = [vars(r.decision) | {"env": r.env, "equal_within": r.equal_within} for r in rankings]
    return {"settings": settings, "decisions": decided}


def _summary(
    results: "SweepResults",
    i: int,
    label: str,
    scores: np.ndarray,
    may_be_best: bool,
    difference: Interval | None,
) -> Summary:
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
        may_be_best=may_be_best,
        difference=difference,
    )
