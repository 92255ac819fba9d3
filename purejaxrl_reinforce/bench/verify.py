"""Verification of a standard workload's result: by arithmetic, and by running it again."""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from purejaxrl_reinforce.bench.compare import change
from purejaxrl_reinforce.bench.flops import Cost
from purejaxrl_reinforce.bench.learning import (
    Seed,
    dollars_per_solved_seed,
    energy_figures,
    learning,
)
from purejaxrl_reinforce.bench.result_file import FEWEST_FOR_INTERVAL, estimate, in_words
from purejaxrl_reinforce.bench.standard import FIXED_FIELDS, FREE_FIELDS, STANDARDS, Standard
from purejaxrl_reinforce.bench.timing import DONE, Peaks, Timing
from purejaxrl_reinforce.bench.workload import ENVIRONMENT, ROLLOUT, TRAINING, result_rows
from purejaxrl_reinforce.execution.fingerprint import SAME_BITS, compare_fingerprints
from purejaxrl_reinforce.output.json_text import json_value
from purejaxrl_reinforce.statistics import binomial_interval

AGREE, DIFFER, NO_VERDICT = "agree", "differ", "not compared"
COLUMNS = ("", "recorded", "here", "")

# The seeds that learn are so many after the first ones.
FRESH = 1_000_000

# Medians differ where their ratio is beyond these and its 95% interval excludes 1. Separate runs on
# one machine differ in speed by a tenth and more.
_SPEED_TOLERANCE, _STEPS_TOLERANCE = 1.25, 1.1
# Steps of one training, of the same seed; where rounding differs, they do by some percent.
_TRAINING_TOLERANCE = 1.05
# Shares of solved seeds differ where chance makes them differ as much less often than this.
_LEAST_P = 0.01
_ROUNDING = 1e-6
_RATES = ENVIRONMENT, ROLLOUT, TRAINING


class Line(NamedTuple):
    """One comparison: both sides in words, with their intervals, and the verdict."""

    subject: str
    recorded: str
    here: str
    verdict: str


def workload_of(result: Mapping[str, Any]) -> Standard:
    """Return the workload that a result is of.

    Raises:
        ValueError: it is of none.
    """
    workload = STANDARDS.get(result["benchmark"])
    if workload is None:
        raise ValueError(
            f"a result of {result['benchmark']} cannot be verified, only those of standard"
            f" workloads: {', '.join(STANDARDS)}"
        )
    return workload


def contradictions(result: Mapping[str, Any]) -> list[Line]:
    """Return a line for each way in which a result contradicts itself or the workload's rules."""
    workload, seeds = workload_of(result), _seeds(result)
    broken = [*_broken_rules(result, workload), *_wrong_in_seeds(workload, seeds)]
    # Of samples or seeds that are not whole nothing follows.
    lines = broken or [*_wrong("result", result, _follows(result, workload, seeds))]
    return [Line("rules and arithmetic", line, "", DIFFER) for line in lines]


def _seeds(result: Mapping[str, Any]) -> list[Seed]:
    """Return the seeds that learned, with None for what is not there."""
    columns = (result["learning"][x] for x in ("solved", "seconds", "env_steps", "statuses"))
    return [Seed(*x) for x in itertools.zip_longest(*columns)]


def _broken_rules(result: Mapping[str, Any], workload: Standard) -> Iterator[str]:
    config, frozen = (json_value(x) for x in (result["config"], vars(workload.config)))
    for name in dict.fromkeys((*FIXED_FIELDS, *config)):
        if name not in FREE_FIELDS and config.get(name, "missing") != frozen.get(name):
            yield f"{name} is {config.get(name, 'missing')}, and {frozen.get(name)} by the rules"
    repeats, rows = result["repeats"], {row["name"]: row for row in result["rows"]}
    if repeats < FEWEST_FOR_INTERVAL:
        yield f"fewer than {FEWEST_FOR_INTERVAL} samples"
    if len(rows) < len(result["rows"]):
        yield "two rows have one name"
    yield from (f"{name} was not timed" for name in _RATES if name not in rows)
    slots = _slots(workload) * min(result.get("agents_at_once", 1), workload.num_agents)
    if result["slots"] != slots:
        yield f"slots are {result['slots']:,}, and {slots:,} by the rules"
    if rows.get(TRAINING, result)["valid_steps"] != result["valid_steps"]:
        yield "steps of a training: different numbers in two places"
    for name, row in rows.items():
        is_done = set(row["statuses"]) == {DONE} and None not in row["samples"]
        if not is_done or not len(row["samples"]) == len(row["statuses"]) == repeats:
            yield f"{name}: not {repeats} samples that are done"
        most = slots if name == TRAINING else slots // workload.config.num_updates
        if row["valid_steps"] > most or (name == ENVIRONMENT and row["valid_steps"] < most):
            yield f"{name} has {row['valid_steps']:,} steps in {most:,} slots"
    energy = result["energy"] or {"source": None}
    if energy["source"] is not None:
        most, played = energy["calls"] * workload.num_seeds, energy["env_steps"] / _slots(workload)
        if not energy["solved"] <= energy["seeds"] == most >= played:
            yield "energy: more seeds or steps than its calls have"


def _slots(workload: Standard) -> int:
    """Return the steps of a training of one agent in which no episode ends early."""
    config = workload.config
    return config.num_envs * (config.num_steps or 0) * config.num_updates


def _wrong_in_seeds(workload: Standard, seeds: list[Seed]) -> Iterator[str]:
    is_whole = all(None not in seed and seed.status == DONE for seed in seeds)
    if not is_whole or len(seeds) != workload.num_seeds:
        yield f"not {workload.num_seeds:,} seeds that are done, with seconds and steps"
        return
    # A seed that is solved has played an update whose episodes had 475 steps on average.
    fewest, most = workload.config.num_envs * workload.target, _slots(workload)
    if not all(fewest <= (seed.env_steps or 0) <= most for seed in seeds if seed.solved):
        yield f"a seed was solved with fewer than {fewest:,.0f} or more than {most:,} steps"
    share = sum(seed.solved for seed in seeds) / len(seeds)
    if share < workload.least_solved:
        yield f"did not learn: {share:.0%} of the seeds solved it, not {workload.least_solved:.0%}"


def _follows(result: Mapping[str, Any], workload: Standard, seeds: list[Seed]) -> dict[str, Any]:
    """Return the figures that follow from the samples, the seeds and the energy of a result."""
    peaks = Peaks(*(result["peaks"][name] for name in Peaks._fields))
    timings, work = dict[str, Timing](), dict[str, tuple[int, Cost]]()
    for row in result["rows"]:
        timings[row["name"]] = Timing(tuple(row["samples"]), row.get("calls_per_sample", 1))
        work[row["name"]] = row["valid_steps"], Cost(row["flops"], row["bytes"])
    energy = result["energy"] or {"source": None}
    taken: Any = (energy.get(name) for name in ("joules", "solved", "env_steps"))
    return {
        "rows": result_rows(work, timings, peaks),
        "learning": learning(workload, result["learning"]["first_seed"], seeds),
        "energy": {} if energy["source"] is None else energy_figures(*taken),
        "dollars_per_solved_seed": dollars_per_solved_seed(seeds, result["price_per_hour"]),
    }


def _wrong(path: str, found: Any, expected: Any) -> Iterator[str]:
    """Yield where the figures that are there are not the expected ones, but for rounding."""
    if isinstance(expected, dict):
        for name in expected:
            if name in (found or {}):
                yield from _wrong(f"{path}.{name}", found[name], expected[name])
    elif found == expected:
        return
    elif isinstance(expected, list) and len(found) == len(expected):
        for i, pair in enumerate(zip(found, expected, strict=True)):
            yield from _wrong(f"{path}[{i}]", *pair)
    elif None in (found, expected) or not math.isclose(found, expected, rel_tol=_ROUNDING):
        yield f"{path} is {found}: {expected} follows from what was measured"


def verify(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> list[Line]:
    """Compare a result with one that was measured on this machine with other seeds.

    Learning is always compared; bits and speed where hardware, versions and flags are equal.
    """
    same = all(recorded[x] == here[x] for x in ("machine", "versions", "flags", "engine", "config"))
    lines = contradictions(recorded)
    lines += (x._replace(recorded="", here=x.recorded) for x in contradictions(here))
    if lines:  # there is nothing to compare
        return lines
    lines = [Line("rules and arithmetic", "kept", "kept", AGREE)]
    lines.append(_fingerprints(recorded, here, same))
    lines.extend(_learning(recorded["learning"], here["learning"], same))
    lines.append(_training_steps(recorded, here))
    old, new = (
        {x["name"]: [1e9 * s / x["valid_steps"] for s in x["samples"]] for x in result["rows"]}
        for result in (recorded, here)
    )
    lines.extend(
        _medians(f"{name}, nanoseconds per step", old[name], new[name], _SPEED_TOLERANCE, same)
        for name in old
        if name in new
    )
    return lines


def _fingerprints(recorded: Mapping[str, Any], here: Mapping[str, Any], same: bool) -> Line:
    old, new = recorded["fingerprint"], here["fingerprint"]
    found = compare_fingerprints(old, new)
    is_another = any(old[name] != new[name] for name in ("updates", "seed", "num_parameters"))
    verdict = AGREE if found == SAME_BITS else DIFFER if same or is_another else NO_VERDICT
    return Line(f"fingerprint: {found}", old["sha256"][:12], new["sha256"][:12], verdict)


def _learning(recorded: Mapping[str, Any], here: Mapping[str, Any], same: bool) -> Iterator[Line]:
    from scipy import stats

    a, b = (x["solved"] for x in (recorded, here))
    p = stats.fisher_exact([[sum(x), len(x) - sum(x)] for x in (a, b)]).pvalue
    yield Line("solved seeds", _share(a), _share(b), DIFFER if p < _LEAST_P else AGREE)
    for name, subject, tolerance, is_compared in (
        ("env_steps", "environment steps to solve", _STEPS_TOLERANCE, True),
        ("seconds", "seconds to solve", _SPEED_TOLERANCE, same),
    ):
        old, new = (
            [x if s else math.inf for s, x in zip(y["solved"], y[name], strict=True)]
            for y in (recorded, here)
        )
        yield _medians(subject, old, new, tolerance, is_compared)


def _share(solved: list[bool]) -> str:
    _, low, high = binomial_interval(sum(solved), len(solved))
    return f"{sum(solved):,} of {len(solved):,} ({low:.1%} to {high:.1%})"


def _training_steps(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> Line:
    old, new = recorded["valid_steps"] / recorded["slots"], here["valid_steps"] / here["slots"]
    ratio = max(old, new) / min(old, new)
    verdict = DIFFER if ratio > _TRAINING_TOLERANCE else AGREE
    return Line("valid steps of a training", f"{old:.1%} of its slots", f"{new:.1%}", verdict)


def _medians(
    subject: str, old: list[float], new: list[float], tolerance: float, same: bool
) -> Line:
    has_changed = change(subject, old, new, tolerance).verdict in ("slower", "faster")
    verdict = NO_VERDICT if not same else DIFFER if has_changed else AGREE
    return Line(subject, in_words(estimate(old)), in_words(estimate(new)), verdict)
