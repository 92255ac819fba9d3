"""Metrics of the user's own: numbers of each update, computed inside the compiled program."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array

from purejaxrl_reinforce.algorithm.rollout import Trajectory
from purejaxrl_reinforce.algorithm.setup import Setup
from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.config import NO_METRICS
from purejaxrl_reinforce.imports import error_in_a_line, target_of

# Names of other columns of a run, and of a sweep's tables and arrays.
_COLUMNS = "update", "seconds", "crc32", "sps"
_ARRAYS = "setting", "seed", "evaluation", "key_data", "updates"


def own_metrics(setup: Setup, state: TrainState, trajectory: Trajectory) -> dict[str, Array]:
    """Return what the function `Config.metrics` makes of an update, float32 by name.

    It is given the configuration, the state before the update and what was played from there. Both
    have the lanes of all devices: what the function uses of them is sent to each.

    Raises:
        ValueError: it cannot be imported, fails, or does not return numbers by name; one line.
    """
    name, axis = setup.config.metrics, setup.axis
    if name == NO_METRICS:
        return {}
    function, positional, keywords = target_of("metrics", name)
    lanes, sums = axis.whole((state.lanes, state.reward_sums), 0)
    whole = state._replace(lanes=lanes, reward_sums=sums), axis.whole(trajectory, 1)
    try:
        if isinstance(function, type):
            function, positional, keywords = function(*positional, **keywords), [], {}
        return _checked(function(setup.config, *whole, *positional, **keywords))
    except Exception as error:  # whatever the user's code does
        raise ValueError(f"metrics {name!r} fail: {error_in_a_line(error)}") from None


def _checked(found: Any) -> dict[str, Array]:
    if not isinstance(found, Mapping) or not all(str(x).isidentifier() for x in found):
        raise TypeError(f"they must be a dict of numbers by name, not {found!r:.100}")
    for name, value in found.items():
        if name in (*Metrics._fields, *_COLUMNS, *_ARRAYS):
            raise ValueError(f"{name!r} is the name of another metric or column")
        if jnp.shape(value):
            raise TypeError(f"{name!r} must be one number, and has the shape {jnp.shape(value)}")
    return {name: jnp.asarray(value, jnp.float32) for name, value in found.items()}
