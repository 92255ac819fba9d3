"""Workload of a benchmark: training from scratch as a whole, and the phases of one update."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from purejaxrl_reinforce.algorithm.losses import Targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.reinforce import collect, make_engine, step
from purejaxrl_reinforce.algorithm.returns import BatchStatistics
from purejaxrl_reinforce.algorithm.rollout import Trajectory, steps_per_update
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.bench.flops import Cost, phase_costs
from purejaxrl_reinforce.bench.result_file import timed_row
from purejaxrl_reinforce.bench.timing import Call, Peaks, Timing, cold_caches
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.execution import sharding
from purejaxrl_reinforce.execution.machine import peak_device_bytes, peak_process_bytes
from purejaxrl_reinforce.execution.program import LONGEST_CHUNK, NonFiniteError, Program
from purejaxrl_reinforce.tasks import first_solved

TRAINING = "training"


class Workload:
    """One configuration, compiled and run once; ready to be timed.

    Attributes:
        config: of the training.
        facts: what a result says of it beside times: learning, memory, seconds of compiling with
            cold caches, valid environment steps, and the slots that these would fill if no episode
            ended early.
        phase_steps: valid environment steps of the timed update, at mid-training.
        calls: timed functions: `training`, the phases and the whole `update`.

    Raises:
        ValueError: it does not fit into memory, or does not stay finite.
    """

    def __init__(self, config: Config, seed: int) -> None:
        config = environment.checked(config).replace(stop_at=None)  # all updates are timed
        self.config = config
        with cold_caches():
            program = Program(config, jax.random.key(seed))
        halfway, metrics = _curves(program, config.num_updates // 2)
        returns = np.concatenate([x.mean_return for x in metrics])
        known = returns[np.isfinite(returns)]
        longest = steps_per_update(config, environment.make(config.env, config.env_params))
        apart, self.phase_steps = compile_phases(config, halfway)
        self.calls: dict[str, Call] = {TRAINING: lambda: _train(program), **apart}
        self.facts: dict[str, Any] = {
            "compile_seconds": program.compile_seconds,
            "valid_steps": sum(int(x.num_steps.sum(dtype=np.int64)) for x in metrics),
            "slots": config.num_updates * longest * config.num_envs,
            "program_bytes": program.memory_bytes,
            "peak_process_bytes": peak_process_bytes(),
            "peak_device_bytes": peak_device_bytes(),
            "last_mean_return": float(returns[-1]),
            "best_mean_return": float(known.max()) if len(known) else float("nan"),
            "first_solved_update": first_solved(config, returns),
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
        TRAINING: (workload.facts["valid_steps"], per_step, workload.config.num_updates),
        **{name: (steps, costs[name], 0) for name in ("rollout", "targets", "gradient")},
        "optimizer": (steps, nothing, 1),
        "update": (steps, per_step, 1),
    }
    return {
        name: (n, Cost(n * x.flops + k * optimizer.flops, n * x.bytes + k * optimizer.bytes))
        for name, (n, x, k) in calls.items()
    }


def compile_phases(config: Config, state: TrainState) -> tuple[dict[str, Call], int]:
    """Compile the phases of the update after `state`, on all local devices.

    With `baseline_steps` above 1, `gradient` and `optimizer` are the first of them only.

    Returns:
        `rollout`, `targets`, `gradient`, `optimizer` and, all in one program, `update`: functions
        without arguments, each on what the phase before it gives; and the valid environment steps
        of that update.
    """

    shared, axis, by_lane = sharding.REPLICATED, sharding.LANES, sharding.BY_LANE
    recorded, carried = sharding.BY_TIME_AND_LANE, sharding.STATE

    def call(f: Callable[..., Any], out_specs: Any, *args_and_specs: tuple[Any, Any]) -> Call:
        args, in_specs = zip(*args_and_specs, strict=True)
        mesh = sharding.lane_mesh(config.num_envs, jax.local_devices())
        sharded = sharding.shard_lanes(f, mesh, (shared, *in_specs), out_specs)
        compiled = jax.jit(sharded).lower(config, *args).compile()
        # Waited for: what others compile meanwhile could deadlock with sums over devices.
        return lambda: jax.block_until_ready(compiled(config, *args))

    before, params = (state, carried), (state.params, shared)
    rollout = call(lambda c, s: collect(c, s, axis), (by_lane, by_lane, recorded), before)
    trajectory = (rollout()[2], recorded)
    targets = call(_targets, (recorded, shared), params, trajectory)
    learned = (targets(), (recorded, shared))
    gradient = call(_gradient, shared, params, trajectory, learned)
    calls = {
        "rollout": rollout,
        "targets": targets,
        "gradient": gradient,
        "optimizer": call(apply_gradients, carried, before, (gradient(), shared)),
        "update": call(lambda c, s: step(c, s, axis), (carried, shared), before),
    }
    return calls, int(trajectory[0].valid.sum())


def _targets(
    config: Config, params: Params, trajectory: Trajectory
) -> tuple[Targets, BatchStatistics]:
    setup = make_setup(config, sharding.LANES)
    return make_engine(setup).make_targets(setup, params, trajectory)


def _gradient(
    config: Config,
    params: Params,
    trajectory: Trajectory,
    learned: tuple[Targets, BatchStatistics],
) -> Params:
    setup, (targets, statistics) = make_setup(config, sharding.LANES), learned
    engine = make_engine(setup)
    return engine.gradients(setup, params, trajectory, targets, statistics.num_steps)[0]


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
