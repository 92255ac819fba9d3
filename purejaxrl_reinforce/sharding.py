"""Sharing the lanes of one training run out over devices."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from purejaxrl_reinforce.lane_axis import LaneAxis
from purejaxrl_reinforce.state import TrainState

LANES = LaneAxis("lanes")
# How arrays lie on the devices: the same on all of them; [N, ...] and [T, N, ...] by lanes; and a
# state, of which nothing but its lanes is shared out.
SAME, BY_LANE, BY_TIME_AND_LANE = P(), P(LANES.name), P(None, LANES.name)
STATE: Any = TrainState(*(BY_LANE if name == "lanes" else SAME for name in TrainState._fields))  # type: ignore[arg-type]


def lane_mesh(num_envs: int, devices: Sequence[jax.Device]) -> Mesh:
    """Return a mesh of as many of `devices` as can have equal numbers of lanes."""
    size = max(n for n in range(1, len(devices) + 1) if num_envs % n == 0)
    return Mesh(np.array(devices[:size]), (LANES.name,), axis_types=(AxisType.Auto,))


def shard_lanes(f: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any) -> Any:
    """Return `f` such that each device of `mesh` runs it on its lanes.

    Within `f`, what concerns all lanes goes through the axis LANES: `step(config, state, LANES)`.
    """
    # Results of `f` that are the same everywhere are so because of its sums over LANES, which the
    # checker of varying axes cannot follow through the loops.
    return jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def place(state: TrainState, mesh: Mesh) -> TrainState:
    """Return `state` with its lanes shared out over `mesh` and the rest on all its devices."""
    return TrainState(
        *(
            jax.device_put(x, NamedSharding(mesh, spec))
            for x, spec in zip(state, STATE, strict=True)
        )
    )
