"""Sharding of the lanes of one training run over devices."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from purejaxrl_reinforce.algorithm.lanes import LaneAxis
from purejaxrl_reinforce.algorithm.state import TrainState
from purejaxrl_reinforce.execution.jax_settings import all_devices
from purejaxrl_reinforce.execution.processes import collective, to_host

LANES = LaneAxis("lanes")

# How arrays lie on the devices: replicated; [N, ...] and [T, N, ...] sharded by lanes.
REPLICATED, BY_LANE, BY_TIME_AND_LANE = P(), P(LANES.name), P(None, LANES.name)


_BY_FIELD: dict[str, Any] = dict.fromkeys(TrainState._fields, REPLICATED)
STATE: Any = TrainState(**_BY_FIELD | {"lanes": BY_LANE, "reward_sums": BY_LANE})


def lane_mesh(num_envs: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Return a mesh of as many of `devices`, all if None, as can have equal numbers of lanes.

    Each process that has some of `devices` has equally many of the mesh.

    Raises:
        ValueError: there are several processes, and they cannot have equal numbers of lanes.
    """
    by_process: dict[int, list[jax.Device]] = {}
    for device in all_devices() if devices is None else devices:
        by_process.setdefault(device.process_index, []).append(device)
    count = len(by_process)
    if num_envs % count:
        fewer, more = num_envs // count * count, (num_envs // count + 1) * count
        raise ValueError(
            f"num_envs={num_envs} is not divisible by {count} processes;"
            f" try num_envs={' or '.join(str(n) for n in (fewer, more) if n)}"
        )
    sizes = range(1, min(map(len, by_process.values())) + 1)
    each = max(n for n in sizes if num_envs % (n * count) == 0)
    chosen = [device for theirs in by_process.values() for device in theirs[:each]]
    return Mesh(np.array(chosen), (LANES.name,), axis_types=(AxisType.Auto,))


def shard_lanes(f: Callable[..., Any], mesh: Mesh, in_specs: Any, out_specs: Any) -> Any:
    """Return `f` such that each device of `mesh` runs it on its lanes.

    Within `f`, reductions over all lanes use the axis LANES: `step(config, state, LANES)`.
    """
    # Replicated results of `f` come from its sums over LANES, which the check of varying axes
    # cannot follow through the loops.
    return jax.shard_map(f, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False)


def shard_state(state: TrainState, mesh: Mesh) -> TrainState:
    """Return `state`, equal on all processes, with its lanes sharded and the rest replicated.

    It may be on the host already, as `to_host` returns it.
    """
    # Through the host: slices of an array that is on a device are compiled, one by one.
    values = to_host(state)

    def place(field: Any, spec: P) -> Any:
        sharding = NamedSharding(mesh, spec)
        return jax.tree.map(
            lambda x: jax.make_array_from_callback(x.shape, sharding, lambda i: x[i]), field
        )

    with collective():
        state = TrainState(*map(place, values, STATE))
    return state._replace(key=jax.random.wrap_key_data(state.key))
