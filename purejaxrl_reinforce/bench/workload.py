"""Workload of a benchmark: training from scratch as a whole, and the phases of one update."""

from typing import Any

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.environments import environment
from purejaxrl_reinforce.algorithm.rollout import steps_per_update
from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.bench.flops import Cost, phase_costs
from purejaxrl_reinforce.bench.peaks import Peaks
from purejaxrl_reinforce.bench.phases import phases
from purejaxrl_reinforce.bench.result_file import timed_row
from purejaxrl_reinforce.bench.timing import Call, Timing, cold_caches
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.machine import peak_device_bytes, peak_process_bytes
from purejaxrl_reinforce.execution.program import LONGEST_CHUNK, NonFiniteError, Program
from purejaxrl_reinforce.tasks import first_solved

TRAINING = "training"


class Workload:
    """One configuration, compiled and run once; ready to be timed.

    Attributes:
        config: what is trained.
        compile_seconds: of tracing and compiling the training program with cold caches.
        memory_bytes: what the training program needs at most.
        mean_return: of each update, [num_updates].
        valid_steps: environment steps of the whole training.
        slots: num_updates * T * N, what they would be if no episode ended early.
        phase_steps: valid environment steps of the update whose phases are timed: the one halfway.
        calls: what to time: `training`, the phases and the whole `update`.

    Raises:
        ValueError: it does not fit into memory, or does not stay finite.
    """

    def __init__(self, config: Config, seed: int) -> None:
        config = environment.checked(config)
        self.config = config
        with cold_caches():
            program = Program(config, jax.random.key(seed))
        self.compile_seconds, self.memory_bytes = program.compile_seconds, program.memory_bytes
        halfway, metrics = _curves(program, config.num_updates // 2)
        self.mean_return = np.concatenate([x.mean_return for x in metrics])
        self.valid_steps = sum(int(x.num_steps.sum(dtype=np.int64)) for x in metrics)
        longest = steps_per_update(config, environment.make(config.env, config.env_params))
        self.slots = config.num_updates * longest * config.num_envs
        apart, self.phase_steps = phases(config, halfway)
        self.calls: dict[str, Call] = {
            TRAINING: lambda: _train(program),
            **apart,
        }


def result_rows(
    workload: Workload, timings: dict[str, Timing], peaks: Peaks
) -> list[dict[str, Any]]:
    """Return the rows of a result: seconds per call, and the rates that follow from them.

    `sps` and `flops_per_second` are those of the median; `sps_best` is that of the minimum.
    """
    rows = []
    for name, (steps, cost) in _least_work(workload).items():
        timing = timings[name]
        rates = {
            "valid_steps": steps,
            "sps": steps / timing.median,
            "sps_best": steps / timing.min,
            **cost._asdict(),
            "flops_per_second": cost.flops / timing.median,
            "fraction_of_matmul_peak": cost.flops / timing.median / peaks.matmul_flops,
        }
        rows.append(timed_row(name, timing, **rates))
    return rows


def _least_work(workload: Workload) -> dict[str, tuple[int, Cost]]:
    """Return valid steps and least cost of one call of each of the workload's `calls`."""
    costs, steps = phase_costs(workload.config), workload.phase_steps
    optimizer, nothing = costs.pop("optimizer"), Cost(0, 0)
    per_step = Cost(*map(sum, zip(*costs.values(), strict=True)))
    calls = {
        TRAINING: (workload.valid_steps, per_step, workload.config.num_updates),
        **{name: (steps, costs[name], 0) for name in ("rollout", "targets", "gradient")},
        "optimizer": (steps, nothing, 1),
        "update": (steps, per_step, 1),
    }
    return {
        name: (n, Cost(n * x.flops + k * optimizer.flops, n * x.bytes + k * optimizer.bytes))
        for name, (n, x, k) in calls.items()
    }


def workload_facts(workload: Workload) -> dict[str, Any]:
    """Return facts of a workload beside its times: learning, memory, compilation."""
    returns = workload.mean_return
    known = returns[np.isfinite(returns)]
    return {
        "compile_seconds": workload.compile_seconds,
        "valid_steps": workload.valid_steps,
        "slots": workload.slots,
        "program_bytes": workload.memory_bytes,
        "peak_process_bytes": peak_process_bytes(),
        "peak_device_bytes": peak_device_bytes(),
        "last_mean_return": float(returns[-1]),
        "best_mean_return": float(known.max()) if len(known) else float("nan"),
        "first_solved_update": first_solved(workload.config, returns),
    }


def _train(program: Program) -> TrainState:
    """Train from scratch, in as few calls as the program's buffers allow."""
    state, left = program.state, program.config.num_updates
    while left:
        length = min(LONGEST_CHUNK, left)
        state, _ = program.advance(state, length)
        left -= length
    return state


def _curves(program: Program, halfway: int) -> tuple[TrainState, list[Metrics]]:
    """Train from scratch; return the state after `halfway` updates, and all metrics in parts."""
    state, metrics = program.state, []
    try:
        for chunk in program.run(every=max(1, halfway)):
            metrics.append(chunk.metrics)
            if int(chunk.state.update) == halfway:
                state = chunk.state
    except NonFiniteError as error:
        raise ValueError(f"{error}: nothing to measure") from None
    return state, metrics
