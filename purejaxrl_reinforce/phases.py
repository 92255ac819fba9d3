"""The phases of one update, each compiled by itself so that it can be timed by itself."""

from collections.abc import Callable
from typing import Any

import jax
from jax import Array

from purejaxrl_reinforce import environment
from purejaxrl_reinforce.blocks import block_length, live_blocks, split_blocks
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.losses import Batch, Params, gradients
from purejaxrl_reinforce.networks import Networks, make_networks
from purejaxrl_reinforce.reinforce import collect, descend, step
from purejaxrl_reinforce.rollout import Trajectory
from purejaxrl_reinforce.state import TrainState
from purejaxrl_reinforce.targets import Targets, make_targets
from purejaxrl_reinforce.timing import Call

# The parts of an update, in their order; the update as a whole comes with them as `update`.
PHASES = ("rollout", "targets", "gradient", "optimiser")


def phases(config: Config, state: TrainState) -> tuple[dict[str, Call], int]:
    """Compile the phases of the update after `state`.

    With `baseline_steps` above 1, `gradient` and `optimiser` are the first of them only.

    Returns:
        `rollout`, `targets`, `gradient`, `optimiser` and, all in one program, `update`: functions
        without arguments, each on what the phase before it gives; and the valid environment steps
        of that update.
    """
    networks = make_networks(config, environment.make(config.env))

    def targets(config: Config, params: Params, trajectory: Trajectory) -> Targets:
        return make_targets(config, networks, params, trajectory)

    def gradient(config: Config, params: Params, trajectory: Trajectory, goal: Targets) -> Params:
        return _gradient(config, networks, params, trajectory, goal)

    rollout = _compiled(collect, config, state)
    trajectory = rollout()[2]
    aim = _compiled(targets, config, state.params, trajectory)
    differentiate = _compiled(gradient, config, state.params, trajectory, aim())
    calls = {
        "rollout": rollout,
        "targets": aim,
        "gradient": differentiate,
        "optimiser": _compiled(descend, config, state, differentiate()),
        "update": _compiled(step, config, state),
    }
    return calls, int(trajectory.valid.sum())


def _gradient(
    config: Config, networks: Networks, params: Params, trajectory: Trajectory, goal: Targets
) -> Params:
    length = block_length(trajectory.valid.shape, config.block_size)
    num_blocks: Array = live_blocks(split_blocks(trajectory.valid, length))
    batch = split_blocks(
        Batch(trajectory.obs, trajectory.action, trajectory.valid, goal.advantages, goal.returns),
        length,
    )
    return gradients(networks, params, batch, config.entropy_coef, num_blocks)[0]


def _compiled(function: Callable[..., Any], *args: Any) -> Call:
    compiled = jax.jit(function).lower(*args).compile()
    return lambda: compiled(*args)
