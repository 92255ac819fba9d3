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

# Names of other columns and arrays that metrics are beside.
_TAKEN = (
    *Metrics._fields, "update", "seconds", "crc32", "sps", "setting", "seed", "evaluation",
    "key_data", "updates",
)  # fmt: skip


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
        found = function(setup.config, *whole, *positional, **keywords)
        mistake = _mistake(found)
    except Exception as error:  # whatever the user's code does
        raise ValueError(f"metrics {name!r} fail: {error_in_a_line(error)}") from None
    if mistake is not None:
        raise ValueError(f"metrics {name!r} {mistake}")
    return {key: jnp.asarray(value, jnp.float32) for key, value in found.items()}


def _mistake(found: Any) -> str | None:
    if not isinstance(found, Mapping):
        return f"return a {type(found).__name__}, not a dict of numbers by name"
    for key, value in found.items():
        if key in _TAKEN:
            return f"give {key!r}, which is the name of another metric or column"
        if not (isinstance(key, str) and key.isidentifier()):
            return f"give {key!r}, and names are words such as best_reward"
        if jnp.shape(value):
            return f"give {key!r} the shape {jnp.shape(value)}, and must give one number"
    return None
