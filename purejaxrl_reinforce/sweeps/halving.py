"""Successive halving: settings that do worse than others stop early.

Jamieson & Talwalkar, Non-stochastic best arm identification and hyperparameter optimization (2016),
with parts of equal length: learning rates are annealed over the full length, so that little is seen
of the end after a ninth of it.
"""

from dataclasses import replace

import numpy as np

from purejaxrl_reinforce.statistics import interquartile_mean
from purejaxrl_reinforce.sweeps.plan import SweepPlan
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.summary import scores_of_settings
from purejaxrl_reinforce.tasks import task


def first_part(plan: SweepPlan, factor: int) -> SweepPlan:
    """Return the plan in which all settings have the first of `factor` parts of their updates.

    Raises:
        ValueError: there are no such parts.
    """
    fewest = min(config.num_updates for config in plan.configs)
    if not 2 <= factor <= fewest:
        raise ValueError(f"halving must lie between 2 and num_updates, {fewest}, not {factor}")
    return replace(plan, goals=np.minimum(plan.goals, _ends(plan, factor, 1)))


def next_part(results: SweepResults, plan: SweepPlan, factor: int, part: int) -> np.ndarray:
    """Return the goals of `part`, [setting, seed], now that all before it are trained.

    In each environment the better settings go on: one of `factor`, rounded up, by interquartile
    mean. Where the plan says that some went on, it is these: nothing is decided anew.
    """
    before, ends = _ends(plan, factor, part - 1), _ends(plan, factor, part)
    reached = plan.goals.max(axis=1, keepdims=True)
    goes_on = (reached >= ends)[:, 0]
    if not goes_on.any():
        scores = scores_of_settings(results)
        by_env: dict[str, list[int]] = {}
        settings = np.flatnonzero(reached >= before).tolist()
        for i in sorted(settings, key=lambda i: -float(interquartile_mean(scores[i]))):
            by_env.setdefault(task(plan.configs[i]), []).append(i)
        for ranked in by_env.values():
            goes_on[ranked[: -(-len(ranked) // factor)]] = True
    return np.where(goes_on[:, None] & (plan.goals > 0), ends, 0)


def _ends(plan: SweepPlan, factor: int, part: int) -> np.ndarray:
    """Return after how many updates a part ends, [setting, 1]."""
    return np.array([[-(-config.num_updates * part // factor)] for config in plan.configs])
