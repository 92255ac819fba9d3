"""Comparison of two benchmark results: which rows are slower or faster."""

import statistics
from collections.abc import Mapping
from typing import Any, NamedTuple

from purejaxrl_reinforce.bench.timing import ratio_of_medians
from purejaxrl_reinforce.statistics import Interval

# Separate runs differ by more than the repeats within one: another layout of memory, other
# neighbors on the machine. Medians that are closer than this ratio are not called different.
TOLERANCE = 1.05
# With fewer samples the noise of a row is unknown.
FEWEST_SAMPLES = 5
# Where these differ, figures may differ for reasons other than the code.
_CONTEXT = ("machine", "versions", "flags", "config")

COLUMNS = ("row", "old median", "new median", "new / old (95% interval)", "")


class Change(NamedTuple):
    """Change of a row's median seconds; `ratio`, new over old, is None with too few samples."""

    name: str
    old: float
    new: float
    ratio: Interval | None
    verdict: str  # slower, faster, unchanged, unclear or too few samples

    def cells(self) -> list[str]:
        """Return the row of a table, a cell for each of COLUMNS."""
        ratio = "" if self.ratio is None else "{:.3f} ({:.3f} to {:.3f})".format(*self.ratio)
        return [self.name, f"{self.old:.4g} s", f"{self.new:.4g} s", ratio, self.verdict]


def compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """Return the change of each timed row that both results have.

    Raises:
        ValueError: they are of different benchmarks or have no timed row in common.
    """
    if old["benchmark"] != new["benchmark"]:
        raise ValueError(f"different benchmarks: {old['benchmark']} and {new['benchmark']}")
    before, after = row_samples(old), row_samples(new)
    common = [name for name in before if name in after]
    if not common:
        raise ValueError("nothing to compare: no timed row is in both files")
    return [change(name, before[name], after[name]) for name in common]


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return a line for each field of machine, versions, flags, config or seed that differs."""
    before, after = (
        {name: result.get(name) for name in ("seed", "engine")}
        | {f"{part}.{name}": x for part in _CONTEXT for name, x in result.get(part, {}).items()}
        for result in (old, new)
    )
    return [
        f"{field} differs: {before.get(field)} and {after.get(field)}"
        for field in sorted(before.keys() | after.keys())
        if before.get(field) != after.get(field)
    ]


def row_samples(result: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the seconds of each row that has any."""
    rows = {row["name"]: row.get("samples", ()) for row in result["rows"]}
    taken = {name: [1.0 * x for x in xs if x is not None] for name, xs in rows.items()}
    return {name: xs for name, xs in taken.items() if xs}


def change(name: str, old: list[float], new: list[float], tolerance: float = TOLERANCE) -> Change:
    """Return the change of the median of some samples.

    It is slower or faster if the ratio is beyond the tolerance, and its interval excludes 1.
    """
    medians = statistics.median(old), statistics.median(new)
    if min(len(old), len(new)) < FEWEST_SAMPLES:
        return Change(name, *medians, None, "too few samples")
    ratio, verdict = ratio_of_medians(new, old), "unclear"
    if ratio.low > 1 / tolerance and ratio.high < tolerance:
        verdict = "unchanged"
    elif ratio.low > 1 and ratio.value > tolerance:
        verdict = "slower"
    elif ratio.high < 1 and ratio.value < 1 / tolerance:
        verdict = "faster"
    return Change(name, *medians, ratio, verdict)
