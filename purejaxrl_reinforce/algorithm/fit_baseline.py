"""Further steps of the baseline network within an update."""

import jax
from jax import Array

from purejaxrl_reinforce.algorithm.batching import LaneAxis
from purejaxrl_reinforce.algorithm.losses import Targets, gradients, values_of
from purejaxrl_reinforce.algorithm.networks.build import Params
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.config import Config


def fit_baseline(
    config: Config,
    state: TrainState,
    trajectory: Trajectory,
    targets: Targets,
    axis: LaneAxis,
    num_updates: Array | None,
) -> TrainState:
    """Take the `baseline_steps` after the first, each a gradient step towards the same returns."""

    def baseline_step(state: TrainState, _: None) -> tuple[TrainState, None]:
        values = values_of(config, state.params, trajectory.obs, trajectory.valid)
        new = targets._replace(values=values)
        baseline = Params(None, state.params.baseline)
        grads, _policy = gradients(config, baseline, trajectory, new, axis)
        return apply_gradients(config, state, grads, num_updates), None

    if config.baseline_steps == 1:
        return state
    return jax.lax.scan(baseline_step, state, length=config.baseline_steps - 1)[0]
