"""Workload of one agent: the environment alone, the phases of an update, training from scratch."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from purejaxrl_reinforce.algorithm.lanes import LaneAxis, key_of
from purejaxrl_reinforce.algorithm.losses import Targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.reinforce import collect, init, make_engine, step
from purejaxrl_reinforce.algorithm.returns import BatchStatistics
from purejaxrl_reinforce.algorithm.rollout import (
    Finished,
    KeyUse,
    Lanes,
    Rollout,
    Trajectory,
    fresh_lanes,
    keys_for,
    play,
    steps_per_update,
)
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.bench.flops import Cost, phase_costs, step_flops
from purejaxrl_reinforce.bench.result_file import timed_row
from purejaxrl_reinforce.bench.timing import Call, Peaks, Timing, cold_caches
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.execution import sharding
from purejaxrl_reinforce.execution.fingerprint import UPDATES, fingerprint
from purejaxrl_reinforce.execution.machine import peak_device_bytes, peak_process_bytes
from purejaxrl_reinforce.execution.program import LONGEST_CHUNK, NonFiniteError, Program
from purejaxrl_reinforce.execution.sharding import (
    BY_LANE,
    BY_TIME_AND_LANE,
    LANES,
    REPLICATED,
    STATE,
)
from purejaxrl_reinforce.tasks import first_solved

# Valid environment steps and least cost of a call, by its name.
Work = dict[str, tuple[int, Cost]]

ENVIRONMENT, ROLLOUT, TRAINING = "environment", "rollout", "training"


class Workload:
    """One configuration, compiled and run once; ready to be timed.

    Attributes:
        config: of the training.
        facts: what a result says of it beside times: learning, memory, seconds of compiling with
            cold caches, valid environment steps, the slots that these would fill if no episode
            ended early, and the fingerprint.
        calls: timed functions: `environment`, `training`, the phases and the whole `update`.
        work: valid environment steps and least cost of a call of each.

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
        apart, phase_steps = compile_phases(config, halfway)
        played = compile_sharded(config, random_play, (BY_LANE, BY_LANE), (halfway, STATE))
        self.calls: dict[str, Call] = {
            ENVIRONMENT: played,
            ROLLOUT: apart.pop(ROLLOUT),
            TRAINING: lambda: _train(program),
            **apart,
        }
        valid_steps = sum(int(x.num_steps.sum(dtype=np.int64)) for x in metrics)
        self.work = least_work(config, valid_steps, config.num_updates, phase_steps)
        start = sharding.shard_state(init(config, key_of(0)), program.mesh)
        updates = min(UPDATES, config.num_updates)
        params = program.advance(start, updates)[0].params
        self.facts = {
            **facts_of(program, valid_steps, config.num_updates * longest * config.num_envs),
            "last_mean_return": float(returns[-1]),
            "best_mean_return": float(known.max()) if len(known) else float("nan"),
            "first_solved_update": first_solved(config, returns),
            "fingerprint": fingerprint(params, updates, seed=0),
        }


def facts_of(compiled: Any, valid_steps: int, slots: int) -> dict[str, Any]:
    """Return the facts that every workload has of what it compiled, a Program or a Population."""
    return {
        "compile_seconds": compiled.compile_seconds,
        "valid_steps": valid_steps,
        "slots": slots,
        "program_bytes": compiled.memory_bytes,
        "peak_process_bytes": peak_process_bytes(),
        "peak_device_bytes": peak_device_bytes(),
    }


def result_rows(work: Work, timings: dict[str, Timing], peaks: Peaks) -> list[dict[str, Any]]:
    """Return the rows of a result: seconds per call, and the rates that follow from them.

    `sps` and `flops_per_second` are those of the median; `sps_best` is that of the minimum.
    `roofline_share` is the least time that the peaks allow over the median.
    """
    rows = []
    for name, timing in timings.items():
        steps, cost = work[name]
        least = max(cost.flops / peaks.matmul_flops, cost.bytes / peaks.memory_bytes)
        rates = {
            "valid_steps": steps,
            "sps": steps / timing.median,
            "sps_best": steps / timing.min,
            **cost._asdict(),
            "flops_per_second": cost.flops / timing.median,
            "fraction_of_matmul_peak": cost.flops / timing.median / peaks.matmul_flops,
            "roofline_share": least / timing.median,
        }
        rows.append(timed_row(name, timing, **rates))
    return rows


def least_work(
    config: Config, trained: int, num_updates: int, steps: int, num_agents: int = 1
) -> Work:
    """Return valid steps and least cost of one call of each of a workload's `calls`.

    Args:
        config: of the training.
        trained: valid steps of the whole of it.
        num_updates: of these.
        steps: valid steps of the one update that the phases are timed in.
        num_agents: that do all that side by side.
    """
    costs = phase_costs(config)
    optimizer, nothing = costs.pop("optimizer"), Cost(0, 0)
    per_step = Cost(*map(sum, zip(*costs.values(), strict=True)))
    env = environment.make(config.env, config.env_params)
    played = config.num_envs * steps_per_update(config, env)
    calls = {
        ENVIRONMENT: (played, Cost(step_flops(env), 0), 0),
        TRAINING: (trained, per_step, num_updates),
        **{name: (steps, costs[name], 0) for name in (ROLLOUT, "targets", "gradient")},
        "optimizer": (steps, nothing, 1),
        "update": (steps, per_step, 1),
    }
    return {
        name: (
            num_agents * n,
            Cost(*(num_agents * (n * x + k * y) for x, y in zip(cost, optimizer, strict=True))),
        )
        for name, (n, cost, k) in calls.items()
    }


def compile_phases(config: Config, state: TrainState) -> tuple[dict[str, Call], int]:
    """Compile the phases of the update after `state`, on all local devices.

    With `baseline_steps` above 1, `gradient` and `optimizer` are the first of them only.

    Returns:
        `rollout`, `targets`, `gradient`, `optimizer` and, all in one program, `update`: functions
        without arguments, each on what the phase before it gives; and the valid environment steps
        of that update.
    """

    call = functools.partial(compile_sharded, config)
    before, params = (state, STATE), (state.params, REPLICATED)
    outcome = BY_LANE, BY_LANE, BY_TIME_AND_LANE
    rollout = call(lambda c, s: collect(c, s, LANES), outcome, before)
    trajectory = (rollout()[2], BY_TIME_AND_LANE)
    targets = call(_targets, (BY_TIME_AND_LANE, REPLICATED), params, trajectory)
    learned = (targets(), (BY_TIME_AND_LANE, REPLICATED))
    gradient = call(_gradient, REPLICATED, params, trajectory, learned)
    calls = {
        ROLLOUT: rollout,
        "targets": targets,
        "gradient": gradient,
        "optimizer": call(apply_gradients, STATE, before, (gradient(), REPLICATED)),
        "update": call(lambda c, s: step(c, s, LANES), (STATE, REPLICATED), before),
    }
    return calls, int(trajectory[0].valid.sum())


def compile_sharded(
    config: Config, f: Callable[..., Any], out_specs: Any, *args_and_specs: tuple[Any, Any]
) -> Call:
    """Return `f(config, *args)` compiled for lanes on all local devices, with its arguments."""
    args, in_specs = zip(*args_and_specs, strict=True)
    mesh = sharding.lane_mesh(config.num_envs, jax.local_devices())
    sharded = sharding.shard_lanes(f, mesh, (REPLICATED, *in_specs), out_specs)
    compiled = jax.jit(sharded).lower(config, *args).compile()
    # Waited for: what others compile meanwhile could deadlock with sums over devices.
    return lambda: jax.block_until_ready(compiled(config, *args))


def random_play(
    config: Config, state: TrainState, axis: LaneAxis = LANES
) -> tuple[Lanes, Finished]:
    """Play as many steps as an update has with random actions; lanes that are done start again."""
    setup, key = make_setup(config, axis), jax.random.fold_in(state.key, state.update)

    def act(obs: Array, noise: Array) -> Array:  # noqa: ARG001
        number = setup.env.num_actions
        return noise if number is None else jnp.int32(noise * number)

    num_steps = steps_per_update(config, setup.env)
    keys = axis.keys(key, state.lanes.alive.shape[0])
    start = fresh_lanes(setup.env, keys_for(keys, KeyUse.START))
    return play(Rollout(setup, act, num_steps, auto_reset=True), start, keys)


def _targets(
    config: Config, params: Params, trajectory: Trajectory
) -> tuple[Targets, BatchStatistics]:
    setup = make_setup(config, LANES)
    return make_engine(setup).make_targets(setup, params, trajectory)


def _gradient(
    config: Config,
    params: Params,
    trajectory: Trajectory,
    learned: tuple[Targets, BatchStatistics],
) -> Params:
    setup, (targets, statistics) = make_setup(config, LANES), learned
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
    state: TrainState = program.state
    metrics = list[Metrics]()
    try:
        for chunk in program.run(every=max(1, halfway)):
            metrics.append(chunk.metrics)
            if int(chunk.state.update) == halfway:
                state = chunk.state
    except NonFiniteError as error:
        raise ValueError(f"{error}: nothing to measure") from None
    return state, metrics
