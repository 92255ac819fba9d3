"""Sweeps that grow where it matters: studies until a decision, halving, unseen seeds for the best.

Successive halving: Jamieson & Talwalkar, Non-stochastic best arm identification and hyperparameter
optimization (2016), with parts of equal length: learning rates are annealed over the full length,
so that little is seen of the end after a ninth of it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from purejaxrl_reinforce.decisions.looks import look_sizes
from purejaxrl_reinforce.decisions.power import MOST_SEEDS, POWERS, plan_seeds, runner_up
from purejaxrl_reinforce.decisions.ranking import show_bounds, show_score
from purejaxrl_reinforce.output.text import count, number
from purejaxrl_reinforce.statistics import MIN_SEEDS, interquartile_mean
from purejaxrl_reinforce.sweeps.plan import SweepPlan, key_data_of
from purejaxrl_reinforce.sweeps.results import SweepResults
from purejaxrl_reinforce.sweeps.summary import rank, scores_of_settings


def study(plan: SweepPlan, until: str | None, equal_within: float | None = None) -> SweepPlan:
    """Return a plan that gets all its seeds at most, see `SweepPlan`, where it is to be decided.

    Args:
        plan: with all seeds; the plan of a study remains the plan of a study.
        until: "decided"; None: it gets all its seeds.
        equal_within: None: as in the plan.

    Raises:
        ValueError: there are too few seeds, nothing to decide, or an argument is wrong.
    """
    if until not in (None, "decided"):
        raise ValueError(f'`until` must be "decided" or None, not {until!r}')
    if until is None and plan.equal_within is None:
        if equal_within:
            raise ValueError("`equal_within` needs `until` decided")
        return plan
    margin = (plan.equal_within or 0.0) if equal_within is None else float(equal_within)
    if min(map(len, plan.by_task(range(len(plan.configs))).values())) < 2:
        raise ValueError("there is nothing to decide: sweep a field with --axis")
    if plan.num_seeds < MIN_SEEDS:
        raise ValueError(f"deciding takes at least {MIN_SEEDS} seeds, not {plan.num_seeds}")
    if not 0 <= margin < np.inf:
        raise ValueError(f"`equal_within` must be a number from 0 on, not {margin}")
    is_first = np.arange(plan.num_seeds) < look_sizes(plan.num_seeds)[0]
    return replace(plan, goals=np.where(is_first, plan.goals, 0), equal_within=margin)


def first_part(plan: SweepPlan, factor: int) -> SweepPlan:
    """Return the plan in which all settings have the first of `factor` parts of their updates.

    Raises:
        ValueError: there are no such parts, or the plan is a study's.
    """
    if plan.equal_within is not None:
        raise ValueError("`until` and `halving` do not go together")
    fewest = min(config.num_updates for config in plan.configs)
    if not 2 <= factor <= fewest:
        raise ValueError(f"halving must lie between 2 and num_updates, {fewest}, not {factor}")
    return replace(plan, goals=np.minimum(plan.goals, _ends(plan, factor)[0]))


def next_goals(results: SweepResults, factor: int | None) -> np.ndarray:
    """Return goals, [setting, seed], now that all are reached: those as before, or further ones.

    In a study, the settings in question go on to the next look. With halving into `factor` parts,
    the better of those settings that have come furthest go on to the next part.
    """
    if results.equal_within is not None:
        return _next_look(results)
    return results.goals if factor is None else _next_part(results, factor)


def _next_look(results: SweepResults) -> np.ndarray:
    goals = results.goals.copy()
    for ranking in rank(results):
        if ranking.decision.verdict == "goes on":
            for setting in ranking.decision.left:
                goals[setting, : ranking.decision.num_seeds] = results.configs[setting].num_updates
    return goals


def _next_part(results: SweepResults, factor: int) -> np.ndarray:
    """In each environment one of `factor` goes on, rounded up, by interquartile mean."""
    goals, ends = results.goals.copy(), _ends(results, factor)
    reached = goals.max(axis=1, keepdims=True) >= ends
    part = int(reached.any(axis=(1, 2)).sum())
    if part < factor:
        scores = scores_of_settings(results)
        settings: list[int] = np.flatnonzero(reached[part - 1]).tolist()
        settings.sort(key=lambda i: -float(interquartile_mean(scores[i])))
        for ranked in results.by_task(settings).values():
            for i in ranked[: -(-len(ranked) // factor)]:
                goals[i, goals[i] > 0] = ends[part, i]
    return goals


def _ends(plan: SweepPlan, factor: int) -> np.ndarray:
    """Return after how many updates each part ends, [part, setting, 1]."""
    lengths = np.array([[config.num_updates] for config in plan.configs])
    return -(-lengths * np.arange(1, factor + 1)[:, None, None] // factor)


def explain_plan(results: SweepResults, difference: float | None) -> Iterator[str]:
    """Yield lines that say how many seeds find the best setting of each environment.

    Args:
        results: a pilot, with MIN_SEEDS seeds or more.
        difference: by how much all others are worse than the best; None: as the second best of
            the pilot is.
    """
    scores = scores_of_settings(results)
    seconds = [x[own].mean() for x, own in zip(results.seconds, results.trained, strict=True)]
    for env, summaries, *_ in rank(results):
        pilot = {s.setting: scores[s.setting] for s in summaries}
        best, second, seen = runner_up(pilot)
        wanted = seen if difference is None else difference
        as_seen = f", as no. {second} is here" if difference is None else ""
        yield (
            f"{env}: seeds that find no. {best} to be the best, if all others are at least"
            f" {number(wanted, 3)} lower{as_seen}"
        )
        for target, (planned, _) in zip(POWERS, plan_seeds(pilot, wanted), strict=True):
            seeds = planned or MOST_SEEDS
            time = seeds * sum(seconds[i] for i in pilot)
            took = f"{number(time, 2)} seconds" if time < 60 else f"{number(time / 60, 2)} minutes"
            effort = f"{count(seeds * len(pilot), 'agent')}, {took} here"
            if planned is None:
                yield (
                    f"  {target:.0%} power: more than {seeds} of each ({effort}); too small a"
                    " difference to be worth it: see --until decided --equal-within"
                )
            else:
                yield f"  {target:.0%} power: {count(seeds, 'seed')} of each; {effort}"


def confirmation_plan(results: SweepResults) -> SweepPlan:
    """Return the plan that trains the first two settings of each ranking with unseen seeds.

    They are as many as the winner had, and half of all seeds away from the first.
    """
    first_two = ((r.summaries[0], s) for r in rank(results) for s in r.summaries[:2])
    chosen = [(s.setting, winner.num_seeds) for winner, s in first_two]
    configs = tuple(results.configs[setting] for setting, _ in chosen)
    first = (results.seeds[0] + 2**31) % 2**32
    seeds = [(first + i) % 2**32 for i in range(max(number for _, number in chosen))]
    wanted = [np.arange(len(seeds)) < number for _, number in chosen]
    goals = np.array(wanted) * [[config.num_updates] for config in configs]
    key_data = key_data_of(seeds, len(chosen))
    return SweepPlan(results.swept, configs, key_data, results.num_episodes, goals, None)


def explain_confirmed(found: Mapping[str, Any]) -> str:
    """Return a sentence about a setting's scores."""
    intervals = (found[name] for name in ("unseen", "study", "optimism"))
    unseen, study, optimism = (f"{show_score(x.value)} {show_bounds(x)}" for x in intervals)
    return (
        f"no. {found['setting']} with {count(found['num_seeds'], 'seed')} that nothing had used:"
        f" {unseen}; in the study {study}, optimism {optimism}"
    )
