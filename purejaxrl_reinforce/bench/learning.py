"""Proof of learning: how long seeds take until they have solved a standard workload."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from purejaxrl_reinforce.algorithm.lanes import key_of
from purejaxrl_reinforce.algorithm.reinforce import init
from purejaxrl_reinforce.bench.result_file import estimate
from purejaxrl_reinforce.bench.standard import Standard
from purejaxrl_reinforce.bench.timing import DONE, FAILED, INTERRUPTED
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.execution.sharding import shard_state
from purejaxrl_reinforce.execution.signals import interruptible


class Seed(NamedTuple):
    """Seconds and valid environment steps of a seed's training, to its end or until it was solved.

    They are None where it did not get there: its status is then FAILED or INTERRUPTED.
    """

    solved: bool
    seconds: float | None
    env_steps: int | None
    status: str = DONE


NO_SEED = Seed(False, None, None, INTERRUPTED)

# Trains so many seeds from the first one on, or until Ctrl-C.
Solve = Callable[[int, int], list[Seed]]


def until_interrupted(seeds: Iterable[Seed]) -> list[Seed]:
    """Return all seeds; after Ctrl-C, the ones before it and NO_SEED."""
    found = list[Seed]()
    try:
        with interruptible():
            found.extend(seeds)
    except KeyboardInterrupt:
        found.append(NO_SEED)
    return found


def learning(standard: Standard, first_seed: int, seeds: Sequence[Seed]) -> dict[str, Any]:
    """Return the part of a result that says what was learned, of seeds from `first_seed` on.

    A seed that failed counts as not solved, one that was interrupted does not count beside others.
    What was not solved took infinitely long.
    """
    ended = [seed for seed in seeds if seed.status != INTERRUPTED] or seeds
    taken = ((s.seconds, s.env_steps) if s.solved else (math.inf, math.inf) for s in ended)
    seconds, env_steps = zip(*taken, strict=True)
    return {
        "target": standard.target,
        "first_seed": first_seed,
        "solved_share": float(np.mean([seed.solved for seed in ended])),
        "seconds_to_solve": estimate(seconds),
        "env_steps_to_solve": estimate(env_steps),
        "solved": [seed.solved for seed in seeds],
        "seconds": [seed.seconds for seed in seeds],
        "env_steps": [seed.env_steps for seed in seeds],
        "statuses": [seed.status for seed in seeds],
    }


def dollars_per_solved_seed(seeds: Sequence[Seed], price_per_hour: float | None) -> float | None:
    """Return what the machine costs for the time of these seeds, for each that was solved."""
    if price_per_hour is None:
        return None
    hours = sum(seed.seconds or 0.0 for seed in seeds) / 3600
    solved = sum(seed.solved for seed in seeds)
    return price_per_hour * hours / solved if solved else math.inf


def energy_of_seeds(
    measure_energy: Callable[[Callable[[], Any]], dict[str, Any] | None],
    solve: Solve,
    first_seed: int,
    number: int,
) -> dict[str, Any]:
    """Train seeds while energy is measured; where it was not, `source` is None."""
    seeds = list[Seed]()

    def train() -> None:
        seeds.extend(solve(first_seed + len(seeds), number))
        if NO_SEED in seeds:
            raise KeyboardInterrupt

    try:
        found = measure_energy(train)
    except KeyboardInterrupt:
        return {"source": None, "statuses": [INTERRUPTED]}
    if found is None:
        return {"source": None}
    solved, steps = sum(s.solved for s in seeds), sum(s.env_steps or 0 for s in seeds)
    figures = energy_figures(found["joules"], solved, steps)
    return found | {"seeds": len(seeds), "solved": solved, "env_steps": steps} | figures


def energy_figures(joules: float, solved: int, env_steps: int) -> dict[str, float]:
    """Return what follows from the energy of seeds that were trained."""
    return {
        "joules_per_solved_seed": joules / solved if solved else math.inf,
        "joules_per_billion_steps": 1e9 * joules / env_steps,
    }


def make_solve(standard: Standard) -> Solve:
    """Return the function that trains seeds until they are solved, one by one on all devices.

    It is compiled, and has run. A seed's seconds are those of one call, its first state included.
    """
    config = standard.config.replace(stop_at=standard.target)
    program = Program(config, key_of(0))

    def solve_one(seed: int) -> Seed:
        started = time.perf_counter()
        start = shard_state(init(config, key_of(seed)), program.mesh)
        _, metrics = program.advance(start, config.num_updates)
        seconds = time.perf_counter() - started
        if not np.all(metrics.finite[metrics.num_steps > 0]):  # after it was solved there are none
            return Seed(False, None, None, FAILED)
        solved = bool(np.any(metrics.mean_return >= standard.target))
        return Seed(solved, seconds, int(metrics.num_steps.sum(dtype=np.int64)))

    def solve(first_seed: int, number: int) -> list[Seed]:
        return until_interrupted(map(solve_one, range(first_seed, first_seed + number)))

    solve_one(0)  # the first call is slower than all others
    return solve
