"""Many agents of one program: compiled once, then started, trained and evaluated together.

Agents share the static fields of their configuration. They are sharded over the devices, which do
not communicate; only where there are fewer agents than devices are each agent's lanes sharded over
several, as in a run of its own.
"""

import functools
import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from purejaxrl_reinforce.algorithm.evaluate import evaluate
from purejaxrl_reinforce.algorithm.reinforce import init
from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.execution.processes import collective, to_host
from purejaxrl_reinforce.execution.program import program_bytes, run_updates, without_length
from purejaxrl_reinforce.execution.sharding import LANES, REPLICATED, state_specs

# Updates whose metrics a call has room for.
LONGEST_CALL = 256
AGENTS = "agents"

BY_AGENT = P(AGENTS)

STATE = state_specs(AGENTS)


class Layout(NamedTuple):
    """The placement of agents on devices.

    Attributes:
        mesh: of devices, agents by lanes.
        groups: most groups of agents that a device trains one after the other.
        at_once: agents of a group, which a device trains side by side.
    """

    mesh: Mesh
    groups: int
    at_once: int

    @property
    def rows(self) -> int:
        """Agents that there is room for on each device."""
        return self.groups * self.at_once

    @property
    def capacity(self) -> int:
        """Agents that there is room for."""
        return self.mesh.shape[AGENTS] * self.rows

    def place_of(self, num_agents: int) -> np.ndarray:
        """Return the row of each of so many agents, [num_agents]; devices take turns."""
        agents, shares = np.arange(num_agents), self.mesh.shape[AGENTS]
        return agents % shares * self.rows + agents // shares

    def groups_for(self, num_agents: int) -> int:
        """Return how many groups each device trains so that so many agents are trained."""
        return -(-num_agents // (self.mesh.shape[AGENTS] * self.at_once))


def population_mesh(num_agents: int, num_envs: int, devices: Sequence[jax.Device]) -> Mesh:
    """Return a mesh on which `num_agents` agents with `num_envs` lanes each use most devices.

    Agents are sharded over its first axis, the lanes of each over its second, equally many on every
    device.

    Raises:
        ValueError: a process would be left without a device.
    """
    shares = min(num_agents, len(devices))
    lanes = max(n for n in range(1, len(devices) // shares + 1) if num_envs % n == 0)
    grid = np.array(devices[: shares * lanes]).reshape(shares, lanes)
    idle = {d.process_index for d in devices} - {d.process_index for d in grid.flat}
    if idle:
        raise ValueError(
            f"more processes than devices in use: num_envs={num_envs} lanes for each of {shares}"
            f" agents at a time occupy {grid.size} of {len(devices)} devices; start fewer processes"
        )
    return Mesh(grid, (AGENTS, LANES.name), axis_types=(AxisType.Auto,) * 2)


class Agents(NamedTuple):
    """Agents on the devices.

    Attributes:
        number: of them.
        num_groups: that each device trains.
        num_updates: that each agent trains for.
        settings: of each agent, one Config of arrays.
        states: of each agent, with its key's data for its key; some rows are padding.
    """

    number: int
    num_groups: Array
    num_updates: Array
    settings: Config
    states: TrainState


class Population:
    """Compiled training of many agents with equal static fields.

    Attributes:
        layout: how many there is room for, and where.
        longest_call: most updates of one call of `advance`.
        compile_seconds: what tracing and compiling took.
        memory_bytes: what the largest compiled program needs at most on all devices, inputs and
            results included.
    """

    def __init__(self, config: Config, layout: Layout, num_episodes: int) -> None:
        started = time.perf_counter()
        self.layout, self.longest_call = layout, LONGEST_CALL
        one, key_data = jnp.int32(1), jax.random.key_data(jax.random.key(0))
        settings, keys = self._inputs([config], np.asarray(key_data)[None])
        starting = self._jit(_start, (BY_AGENT, BY_AGENT), STATE)
        # Mostly on one core each.
        with ThreadPoolExecutor(max_workers=2) as pool:
            traced = starting.trace(one, settings, keys)
            start = pool.submit(lambda: traced.lower().compile())
            states = traced.out_info
            evaluating = self._jit(
                functools.partial(_evaluate, num_episodes=num_episodes),
                (REPLICATED, BY_AGENT, BY_AGENT),
                BY_AGENT,
            )
            evaluated = evaluating.trace(one, key_data, settings, states.params)
            evaluation = pool.submit(lambda: evaluated.lower().compile())
            advancing = self._jit(
                functools.partial(_advance, longest=self.longest_call),
                (REPLICATED, REPLICATED, BY_AGENT, STATE),
                (STATE, BY_AGENT),
            )
            self._advance = advancing.lower(one, one, one, settings, states).compile()
            self._start, self._evaluate = start.result(), evaluation.result()
        self.compile_seconds = time.perf_counter() - started
        self.memory_bytes = layout.mesh.size * max(
            map(program_bytes, (self._start, self._advance, self._evaluate))
        )
        gc.collect()  # of other populations' programs, each of which holds many memory mappings

    def _jit(self, f: Callable[..., Any], in_specs: Any, out_specs: Any) -> Any:
        """Compile `f(config, ...)`, of one agent, for the first `num_groups` groups of all."""
        at_once = self.layout.at_once

        mesh, in_specs = self.layout.mesh, (REPLICATED, *in_specs)

        def of_all(num_groups: Array, *args: Any) -> Any:
            shared = [x for x, spec in zip(args, in_specs[1:], strict=True) if spec == REPLICATED]
            own = [x for x, spec in zip(args, in_specs[1:], strict=True) if spec != REPLICATED]
            return _over_groups(functools.partial(f, *shared), num_groups, own, at_once)

        # Nothing is reduced over agents; `step` reduces over lanes itself.
        mapped = jax.shard_map(
            of_all, mesh=mesh, in_specs=in_specs, out_specs=out_specs, check_vma=False
        )
        # Without these, jax would choose where arguments lie that the program does not use.
        return jax.jit(
            mapped,
            in_shardings=jax.tree.map(
                lambda spec: NamedSharding(mesh, spec), in_specs, is_leaf=lambda x: type(x) is P
            ),
        )

    def _inputs(self, configs: Sequence[Config], key_data: np.ndarray) -> tuple[Config, Array]:
        """Return configurations and key data on the devices, the first agent's as padding.

        The configurations are without their length.
        """
        rows = np.zeros(self.layout.capacity, np.intp)
        rows[self.layout.place_of(len(configs))] = np.arange(len(configs))

        def put(values: np.ndarray) -> Array:
            sharding = NamedSharding(self.layout.mesh, BY_AGENT)
            return jax.make_array_from_callback(values.shape, sharding, lambda i: values[i])

        stacked = jax.tree.map(
            lambda *x: put(np.asarray(x, np.float32)[rows]), *map(without_length, configs)
        )
        return stacked, put(key_data[rows])

    def start(self, configs: Sequence[Config], key_data: np.ndarray) -> Agents:
        """Return agents before their first update.

        Args:
            configs: of each agent, `layout.capacity` at most, all with the same num_updates.
            key_data: of each agent's key, [agent, ...] uint32.
        """
        settings, keys = self._inputs(configs, key_data)
        num_groups = jnp.int32(self.layout.groups_for(len(configs)))
        states = self._start(num_groups, settings, keys)
        with collective():
            states = jax.block_until_ready(states)
        num_updates = jnp.int32(configs[0].num_updates)
        return Agents(len(configs), num_groups, num_updates, settings, states)

    def advance(self, agents: Agents, length: int) -> tuple[Agents, Metrics]:
        """Do `length` updates of each agent, `longest_call` at most.

        Returns:
            The agents, and metrics [agent, length] as NumPy.
        """
        sizes = agents.num_groups, jnp.int32(length), agents.num_updates
        states, buffers = self._advance(*sizes, agents.settings, agents.states)
        rows = self.layout.place_of(agents.number)
        metrics = jax.tree.map(lambda x: x[rows, :length], to_host(buffers))
        return agents._replace(states=states), metrics

    def evaluate(self, agents: Agents, key: Array) -> np.ndarray:
        """Return the returns of each agent's greedy episodes from `key`, [agent, episode]."""
        returns = self._evaluate(
            agents.num_groups, jax.random.key_data(key), agents.settings, agents.states.params
        )
        whole: np.ndarray = to_host(returns)
        return whole[self.layout.place_of(agents.number)]

    def states(self, agents: Agents) -> TrainState:
        """Return the state of each agent as NumPy, [agent, ...]; of its key, the key's data."""
        rows = self.layout.place_of(agents.number)
        states: TrainState = jax.tree.map(lambda x: x[rows], to_host(agents.states))
        return states


def _over_groups(
    f: Callable[..., Any], num_groups: Array, args: Sequence[Any], at_once: int
) -> Any:
    """Apply `f` to each of the first `num_groups` groups of `at_once` agents, one by one.

    Arguments and results are trees of [agent, ...]; of groups that are left out the results are
    zero.
    """

    def of_group(i: Array) -> Any:
        group = jax.tree.map(lambda x: x.reshape(-1, at_once, *x.shape[1:])[i], args)
        if at_once == 1:  # not mapped at all: the arithmetic is that of a run of its own
            result = f(*jax.tree.map(lambda x: x[0], group))
            return jax.tree.map(lambda x: x[None], result)
        return jax.vmap(f)(*group)

    total = jax.tree.leaves(args)[0].shape[0] // at_once
    shapes = jax.eval_shape(of_group, num_groups)
    results = jax.tree.map(lambda x: jnp.zeros((total, *x.shape), x.dtype), shapes)
    results = jax.lax.fori_loop(
        0,
        num_groups,
        lambda i, results: jax.tree.map(lambda r, x: r.at[i].set(x), results, of_group(i)),
        results,
    )
    return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), results)


# Keys pass in and out as data: an array of keys that is indexed counts as used.


def _start(config: Config, key_data: Array) -> TrainState:
    state = init(config, jax.random.wrap_key_data(key_data))
    # Each device computes all lanes and keeps its own.
    shares, mine = jax.lax.axis_size(LANES.name), jax.lax.axis_index(LANES.name)
    width = config.num_envs // shares
    lanes, sums = jax.tree.map(
        lambda x: jax.lax.dynamic_slice_in_dim(x, mine * width, width),
        (state.lanes, state.reward_sums),
    )
    key_data = jax.random.key_data(state.key)
    return state._replace(lanes=lanes, reward_sums=sums, key=key_data)


def _advance(
    length: Array, num_updates: Array, config: Config, state: TrainState, longest: int
) -> tuple[TrainState, Metrics]:
    state = state._replace(key=jax.random.wrap_key_data(state.key))
    state, metrics = run_updates(config, state, length, num_updates, longest)
    return state._replace(key=jax.random.key_data(state.key)), metrics


def _evaluate(key_data: Array, config: Config, params: Any, num_episodes: int) -> Any:
    key = jax.random.wrap_key_data(key_data)
    return evaluate(config, params, key, num_episodes).episode_return
