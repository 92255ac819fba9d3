"""Verification of a standard workload's result: by arithmetic, and by running it again."""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from purejaxrl_reinforce.bench.compare import ratio_of_medians, row_samples
from purejaxrl_reinforce.bench.learning import Seed, dollars_per_solved_seed
from purejaxrl_reinforce.bench.result_file import FEWEST_FOR_INTERVAL, estimate
from purejaxrl_reinforce.bench.standard import FIXED_FIELDS, FREE_FIELDS, STANDARDS, Standard
from purejaxrl_reinforce.bench.timing import DONE
from purejaxrl_reinforce.bench.workload import ENVIRONMENT, ROLLOUT, TRAINING
from purejaxrl_reinforce.execution.fingerprint import SAME_BITS, compare_fingerprints
from purejaxrl_reinforce.output.json_text import json_value
from purejaxrl_reinforce.output.text import number

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
    workload = workload_of(result)
    frozen = json_value(dataclasses.asdict(workload.config))
    lines = [
        f"{name} is {value}, and {frozen.get(name)} in {workload.name}"
        for name, value in json_value(result["config"]).items()
        if name not in FREE_FIELDS and frozen.get(name) != value
    ]
    lines += (f"{name} is missing" for name in FIXED_FIELDS if name not in result["config"])
    for row in result["rows"]:
        lines += (f"{row['name']}: {text}" for text in _wrong_in_row(row, result))
    if result["repeats"] < FEWEST_FOR_INTERVAL:
        lines.append(f"fewer than {FEWEST_FOR_INTERVAL} samples")
    if result["slots"] != (expected := _slots(workload, result)):
        lines.append(f"slots are {result['slots']:,}, and {expected:,} by the rules")
    rows = {row["name"]: row for row in result["rows"]}
    if len(rows) < len(result["rows"]):
        lines.append("two rows have one name")
    lines += (f"{name} was not timed" for name in _RATES if name not in rows)
    trained = rows.get(TRAINING, result)["valid_steps"]
    if trained != result["valid_steps"] or trained > result["slots"]:
        lines.append("steps of a training: different numbers in two places, or more than its slots")
    lines += list(_wrong_in_learning(result, workload)) or _wrong_in_costs(result)
    return [Line("rules and arithmetic", line, "", DIFFER) for line in lines]


def _slots(workload: Standard, result: Mapping[str, Any]) -> int:
    """Return the steps of a training in which no episode ends early."""
    config = workload.config
    each = config.num_envs * (config.num_steps or 0) * config.num_updates
    return int(each * (result["agents_at_once"] if workload.num_agents > 1 else 1))


def _wrong_in_row(row: Mapping[str, Any], result: Mapping[str, Any]) -> Iterator[str]:
    repeats, peaks = result["repeats"], result["peaks"]
    least = max(row["flops"] / peaks["matmul_flops"], row["bytes"] / peaks["memory_bytes"])
    taken = [x for x in row["samples"] if x is not None]
    if row["statuses"] != [DONE] * repeats or len(taken) != repeats:
        yield f"not {repeats} samples that are done"
    elif not _is_estimate(row, row["samples"]):
        yield "median or interval does not follow from the samples"
    elif not math.isclose(row["sps"], row["valid_steps"] / row["median"], rel_tol=_ROUNDING):
        yield "sps is not valid_steps / median"
    elif not math.isclose(row["roofline_share"], least / row["median"], rel_tol=_ROUNDING):
        yield "roofline_share does not follow from flops, bytes, peaks and median"


def _wrong_in_learning(result: Mapping[str, Any], workload: Standard) -> Iterator[str]:
    found, number = result["learning"], workload.num_seeds
    solved = found["solved"]
    if found["statuses"] != [DONE] * number:
        yield f"not {number:,} seeds that are done"
        return
    columns = [found[name] for name in ("solved", "seconds", "env_steps")]
    if any(len(column) != number or None in column for column in columns):
        yield f"not {number:,} seeds with seconds and steps"
        return
    for name in ("seconds", "env_steps"):
        taken = [x if s else math.inf for s, x in zip(solved, found[name], strict=True)]
        if not _is_estimate(found[f"{name}_to_solve"], taken):
            yield f"{name}_to_solve does not follow from the seeds"
    # A seed that is solved has played an update whose episodes had 475 steps on average.
    fewest = workload.config.num_envs * workload.target
    played = [x for s, x in zip(solved, found["env_steps"], strict=True) if s]
    if max(played, default=0) > _slots(workload, {"agents_at_once": 1}):
        yield "a seed has more environment steps than a training has slots"
    if min(played, default=fewest) < fewest:
        yield f"a seed was solved with fewer than {fewest:,.0f} steps"
    if found["target"] != workload.target:
        yield f"target is {found['target']:g}, and {workload.target:g} in {workload.name}"
    share = sum(solved) / number
    if not math.isclose(found["solved_share"], share, rel_tol=_ROUNDING):
        yield "solved_share is not the share of the solved seeds"
    if share < workload.least_solved:
        yield f"did not learn: {share:.0%} of the seeds solved it, not {workload.least_solved:.0%}"


def _wrong_in_costs(result: Mapping[str, Any]) -> Iterator[str]:
    found, energy = result["learning"], result["energy"] or {"source": None}
    columns = (found[name] for name in ("solved", "seconds", "env_steps"))
    seeds = [Seed(*x) for x in zip(*columns, strict=True)]
    expected = dollars_per_solved_seed(seeds, result["price_per_hour"])
    if not _is_close(result["dollars_per_solved_seed"], expected):
        yield "dollars_per_solved_seed does not follow from price_per_hour and the seconds"
    if energy["source"] is None:
        return
    joules = energy["joules"]
    if not _is_close(energy["joules_per_billion_steps"], 1e9 * joules / energy["env_steps"]):
        yield "joules_per_billion_steps does not follow from joules and env_steps"
    if energy["solved"] and not _is_close(
        energy["joules_per_solved_seed"], joules / energy["solved"]
    ):
        yield "joules_per_solved_seed does not follow from joules and solved"


def _is_close(x: float | None, y: float | None) -> bool:
    return x == y if x is None or y is None else math.isclose(x, y, rel_tol=_ROUNDING)


def _is_estimate(given: Mapping[str, Any], samples: list[float]) -> bool:
    """Return whether the median and the interval follow from the samples."""
    expected = estimate(samples)
    pairs = zip(
        [given["median"], *given["interval"]],
        [expected["median"], *expected["interval"]],
        strict=True,
    )
    return all(_is_close(x, y) for x, y in pairs)


def verify(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> list[Line]:
    """Compare a result with one that was measured on this machine with other seeds.

    Learning is always compared; bits and speed where hardware, versions and flags are equal.
    """
    same = all(recorded[part] == here[part] for part in ("machine", "versions", "flags", "engine"))
    lines = contradictions(recorded)
    lines += (x._replace(recorded="", here=x.recorded) for x in contradictions(here))
    if lines:  # there is nothing to compare
        return lines
    lines = [Line("rules and arithmetic", "kept", "kept", AGREE)]
    lines.append(_fingerprints(recorded, here, same))
    lines.extend(_learning(recorded["learning"], here["learning"], same))
    lines.append(_training_steps(recorded, here))
    old, new = row_samples(recorded), row_samples(here)
    lines.extend(
        _medians(f"{name}, seconds", old[name], new[name], _SPEED_TOLERANCE, same)
        for name in old
        if name in new
    )
    return lines


def _fingerprints(recorded: Mapping[str, Any], here: Mapping[str, Any], same: bool) -> Line:
    found = compare_fingerprints(recorded["fingerprint"], here["fingerprint"])
    verdict = AGREE if found == SAME_BITS else DIFFER if same else NO_VERDICT
    old, new = (x["fingerprint"]["sha256"][:12] for x in (recorded, here))
    return Line(f"fingerprint: {found}", old, new, verdict)


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
    from scipy import stats

    low, high = stats.binomtest(sum(solved), len(solved)).proportion_ci()
    return f"{sum(solved):,} of {len(solved):,} ({low:.1%} to {high:.1%})"


def _training_steps(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> Line:
    old, new = recorded["valid_steps"] / recorded["slots"], here["valid_steps"] / here["slots"]
    ratio = max(old, new) / min(old, new)
    verdict = DIFFER if ratio > _TRAINING_TOLERANCE else AGREE
    return Line("valid steps of a training", f"{old:.1%} of its slots", f"{new:.1%}", verdict)


def _medians(
    subject: str, old: list[float], new: list[float], tolerance: float, same: bool
) -> Line:
    ratio = ratio_of_medians(new, old)
    outside = not 1 / tolerance <= ratio.value <= tolerance
    differs = outside and not ratio.low <= 1 <= ratio.high
    verdict = NO_VERDICT if not same else DIFFER if differs else AGREE
    return Line(subject, _in_words(old), _in_words(new), verdict)


def _in_words(samples: list[float]) -> str:
    found = estimate(samples)
    low, high = found["interval"]
    return f"{number(found['median'])} ({number(low)} to {number(high)})"
