"""Medians over the seeds, and each entry's ratio to ours."""

import math
import statistics
from typing import Any

OURS = "ours"
_IDENTITY = ("entry", "peer", "title", "network", "variant")


def summarize(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return one row per entry, in the order of its first run, with ratios to ours.

    Ours is that with the same network, or our larger one where we have none like it.

    A seed that never solved the task, or failed, counts as infinite: a median of None says that at
    least half of them are.
    """
    by_entry: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        by_entry.setdefault(run["entry"], []).append(run)
    ours = {group[0]["network"]: group for group in by_entry.values() if group[0]["peer"] == OURS}
    # Networks that we do not train have two layers at least, as our last one.
    other = next(reversed(ours.values()), [])
    return [_row(group, ours.get(group[0]["network"], other)) for group in by_entry.values()]


def _row(group: list[dict[str, Any]], ours: list[dict[str, Any]]) -> dict[str, Any]:
    done = [run for run in group if "error" not in run]
    solved = [run["solved_at"] for run in done if run["solved_at"]]
    errors = sorted({run["error"] for run in group if "error" in run})
    row = {name: group[0][name] for name in _IDENTITY}
    row |= {"runs": len(group), "failed": len(group) - len(done), "errors": errors}
    row |= {"solved": len(solved)}
    for name in ("seconds", "total_seconds", "env_steps"):
        times = [at[name] for at in solved]
        row[f"solved_{name}"] = _spread(times + [math.inf] * (len(group) - len(times)))
    if not done:
        return row
    for name in ("sps", "startup_seconds", "compile_seconds", "train_seconds", "env_steps"):
        row[name] = _spread([run[name] for run in done])
    row |= {"batch": done[0]["batch"], "algorithm": done[0]["algorithm"]}
    # From launch, of the seeds that solved the task: whoever fails to is not slow but unable.
    row["its_solving_time_over_ours"] = _ratio(_solving_times(done), _solving_times(ours))
    return row


def _spread(values: list[float]) -> dict[str, float | None]:
    """Return the median, least and most; infinite ones as None, which JSON can say."""
    spread = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: x if math.isfinite(x) else None for name, x in spread.items()}


def _ratio(top: dict[int, float], bottom: dict[int, float]) -> dict[str, float] | None:
    """Return one measure over another, both by seed: of the medians, and the spread over seeds."""
    paired = [top[seed] / bottom[seed] for seed in top if seed in bottom]
    if not paired:
        return None
    of_medians = statistics.median(top.values()) / statistics.median(bottom.values())
    return {"of_medians": of_medians, "min": min(paired), "max": max(paired)}


def _solving_times(runs: list[dict[str, Any]]) -> dict[int, float]:
    """Return the seconds from launch of the seeds that solved the task."""
    done = [run for run in runs if run.get("solved_at")]
    return {run["seed"]: run["solved_at"]["total_seconds"] for run in done}
