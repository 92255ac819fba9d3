"""Phases of one update, each compiled and timed by itself."""

from collections.abc import Callable
from typing import Any

import jax

from purejaxrl_reinforce.algorithm.losses import Targets
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.reinforce import collect, make_engine, step
from purejaxrl_reinforce.algorithm.returns import BatchStatistics
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.bench.timing import Call
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.sharding import (
    BY_LANE,
    BY_TIME_AND_LANE,
    LANES,
    REPLICATED,
    STATE,
    lane_mesh,
    shard_lanes,
)

# The parts of an update, in their order; the update as a whole comes with them as `update`.
PHASES = ("rollout", "targets", "gradient", "optimizer")


def phases(config: Config, state: TrainState) -> tuple[dict[str, Call], int]:
    """Compile the phases of the update after `state`, on all local devices.

    With `baseline_steps` above 1, `gradient` and `optimizer` are the first of them only.

    Returns:
        `rollout`, `targets`, `gradient`, `optimizer` and, all in one program, `update`: functions
        without arguments, each on what the phase before it gives; and the valid environment steps
        of that update.
    """

    def call(f: Callable[..., Any], out_specs: Any, *args_and_specs: tuple[Any, Any]) -> Call:
        args, in_specs = zip(*args_and_specs, strict=True)
        mesh = lane_mesh(config.num_envs, jax.local_devices())
        sharded = jax.jit(shard_lanes(f, mesh, (REPLICATED, *in_specs), out_specs))
        compiled = sharded.lower(config, *args).compile()
        # Waited for: what others compile meanwhile could deadlock with sums over devices.
        return lambda: jax.block_until_ready(compiled(config, *args))

    played = (BY_LANE, BY_LANE, BY_TIME_AND_LANE)
    rollout = call(lambda c, s: collect(c, s, LANES), played, (state, STATE))
    trajectory = (rollout()[2], BY_TIME_AND_LANE)
    params = (state.params, REPLICATED)
    spec = (BY_TIME_AND_LANE, REPLICATED)
    make = call(_targets, spec, params, trajectory)
    backward = call(_gradient, REPLICATED, params, trajectory, (make(), spec))
    calls = {
        "rollout": rollout,
        "targets": make,
        "gradient": backward,
        "optimizer": call(apply_gradients, STATE, (state, STATE), (backward(), REPLICATED)),
        "update": call(lambda c, s: step(c, s, LANES), (STATE, REPLICATED), (state, STATE)),
    }
    return calls, int(trajectory[0].valid.sum())


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
