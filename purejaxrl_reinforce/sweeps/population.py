"""Many agents of one program: compiled once, then started, trained and evaluated together.

Agents share the static fields of their configuration. They are sharded over the devices, which do
not communicate.
"""

import functools
import gc
import time
from collections.abc import Callable, Iterator, Sequence
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
from purejaxrl_reinforce.execution import machine, program
from purejaxrl_reinforce.execution.memory import free_bytes, program_bytes, require_memory
from purejaxrl_reinforce.execution.sharding import LANES, REPLICATED

# On a CPU an agent's arrays should stay in a core's cache, so cores train one agent after the
# other, which also keeps the arithmetic that of a run of its own: see benchmarks/README.md.
ONE_BY_ONE = ("cpu",)
# Agents for each core that a program has room for; more do not train faster.
_MOST_ROWS = 128
# Of free memory, for a program whose size is ours to choose.
_SHARE_OF_MEMORY = 0.5

# Of training per chunk: progress shows and signals are handled in between.
_SECONDS_PER_CHUNK = 1.0

DEVICE_NAME = "S96"  # which cuts longer ones

AGENTS = "agents"
# Arrays are [row, device, ...]: in flat order, devices take turns.
BY_AGENT = P(None, AGENTS)


class Job(NamedTuple):
    """Agents of one static setting to train together, in this process or another.

    Attributes:
        agents: setting and seed of each, by their numbers in the plan, [agent, 2].
        configs: of each.
        key_data: of each one's key.
        num_episodes: of each one's evaluation at the end.
        room: agents of the largest such job, for which its program has room.
        done: updates that they have behind them.
        goal: after which they stop.
        before: the agents after the updates behind them; None before the first.
    """

    agents: np.ndarray
    configs: list[Config]
    key_data: np.ndarray
    num_episodes: int
    room: int
    done: int
    goal: int
    before: "Slice | None"


class Slice(NamedTuple):
    """Finished agents of one static setting, as NumPy.

    Attributes:
        agents: setting and seed of each, by their numbers in the plan, [agent, 2].
        metrics: [agent, update], from the first update on.
        evaluation: returns of greedy episodes, [agent, episode].
        seconds: each one's share of the time that training them took, [agent].
        device: each one's `machine.result_device`, [agent], bytes.
        state: the TrainState after the last update, [agent, ...], with its key's data for its key;
            None if it is not needed.
    """

    agents: np.ndarray
    metrics: Metrics
    evaluation: np.ndarray
    seconds: np.ndarray
    device: np.ndarray
    state: Any


class Population:
    """Compiled training of many agents with equal static fields.

    Args:
        config: one of theirs.
        devices: over which agents are sharded; all lanes of an agent are on one.
        rows: agents that each device has room for.
        num_episodes: of each agent's greedy evaluation.
        one_by_one: whether a device trains one agent after the other, rather than all side by side
            (vmap). None: the faster one on these devices.

    Attributes:
        longest_call: most updates of one call, for whose metrics there is room.
        num_devices: over which agents are sharded.
        capacity: agents that there is room for.
        compile_seconds: of tracing and compiling.
        memory_bytes: what the largest compiled program needs at most on all devices of this
            process, inputs and results included.
    """

    longest_call = 256

    def __init__(
        self,
        config: Config,
        devices: Sequence[jax.Device],
        rows: int,
        num_episodes: int,
        one_by_one: bool | None = None,
    ) -> None:
        started = time.perf_counter()
        self.num_devices, self._rows, self.capacity = len(devices), rows, rows * len(devices)
        grid = np.array(devices).reshape(-1, 1)
        self._mesh = Mesh(grid, (AGENTS, LANES.name), axis_types=(AxisType.Auto,) * 2)
        on_cores = devices[0].platform in ONE_BY_ONE
        self.one_by_one = on_cores if one_by_one is None else one_by_one
        one, own = jnp.int32(1), self._inputs([config], np.zeros((1, 2), np.uint32))
        advancing = self._jit(functools.partial(_advance, longest=self.longest_call))
        evaluating = self._jit(functools.partial(_evaluate, num_episodes=num_episodes))
        with ThreadPoolExecutor() as pool:  # mostly on one core each
            starting = self._jit(_start).lower(one, (), own)
            start = pool.submit(starting.compile)
            settings, states = own[0], starting.out_info
            evaluation = pool.submit(evaluating.lower(one, (), (settings, states.params)).compile)
            self._advance = advancing.lower(one, (one, one), (settings, states)).compile()
            self._start, self._evaluate = start.result(), evaluation.result()
        self.compile_seconds = time.perf_counter() - started
        self.memory_bytes = len(self._mesh.local_devices) * max(
            map(program_bytes, (self._start, self._advance, self._evaluate))
        )
        gc.collect()  # of other populations' programs, each of which holds many memory mappings

    def _jit(self, f: Callable[..., Any]) -> Any:
        """Return a program (num_rows, shared, own) for all agents; `f(*shared, *own)` is one's."""

        def of_device(num_rows: Array, shared: Any, own: Any) -> Any:
            rows = jax.tree.map(lambda x: x[:, 0], own)
            g = functools.partial(f, *shared)
            results = _one_by_one(g, num_rows, rows) if self.one_by_one else jax.vmap(g)(*rows)
            return jax.tree.map(lambda x: x[:, None], results)

        in_specs = (REPLICATED, REPLICATED, BY_AGENT)
        # Nothing is reduced over agents.
        mapped = jax.shard_map(
            of_device, mesh=self._mesh, in_specs=in_specs, out_specs=BY_AGENT, check_vma=False
        )
        # Without these, jax would choose where arguments lie that the program does not use.
        shardings = tuple(NamedSharding(self._mesh, spec) for spec in in_specs)
        return jax.jit(mapped, in_shardings=shardings)

    def _inputs(self, configs: Sequence[Config], key_data: np.ndarray) -> tuple[Config, Array]:
        """Return configurations, without their length, and key data on the devices."""
        put = functools.partial(self._put, len(configs))
        alike = (config.replace(num_updates=1) for config in configs)
        settings = jax.tree.map(lambda *x: put(np.asarray(x, np.float32)), *alike)
        return settings, put(key_data)

    def _put(self, number: int, values: np.ndarray) -> Array:
        """Put an array of so many agents, and of padding, on the devices."""
        with_padding = np.minimum(np.arange(self.capacity), number - 1)
        rows = values[with_padding].reshape(self._rows, -1, *values.shape[1:])
        sharding = NamedSharding(self._mesh, BY_AGENT)
        return jax.make_array_from_callback(rows.shape, sharding, lambda i: rows[i])

    def train(self, job: Job) -> Iterator[program.Chunk[TrainState] | Slice]:
        """Train and evaluate agents, `capacity` at most; yield each chunk, and at last the agents.

        Their configurations have the same number of updates.
        """
        number, before = len(job.agents), job.before
        num_rows = jnp.int32(-(-number // self.num_devices))
        num_updates = jnp.int32(job.configs[0].num_updates)
        settings, _ = own = self._inputs(job.configs, job.key_data)
        if before is None:
            parts, seconds = [], np.zeros(number)
            states = self._start(num_rows, (), own)
        else:
            parts, seconds = [before.metrics], before.seconds
            states = jax.tree.map(functools.partial(self._put, number), before.state)

        def advance(states: TrainState, length: int) -> tuple[TrainState, Metrics]:
            shared = jnp.int32(length), num_updates
            states, buffers = self._advance(num_rows, shared, (settings, states))
            return states, jax.tree.map(lambda x: x[:, :length], _to_host(buffers, number))

        sizes = job.goal, self.longest_call, _SECONDS_PER_CHUNK, job.done
        for chunk in program.run_chunks(advance, jax.block_until_ready(states), *sizes):
            states = chunk.state
            parts.append(chunk.metrics)
            seconds = seconds + chunk.seconds / number
            yield chunk
        returns = self._evaluate(num_rows, (), (settings, states.params))
        yield Slice(
            job.agents,
            jax.tree.map(lambda *x: np.concatenate(x, axis=1), *parts),
            _to_host(returns, number),
            seconds,
            np.full(number, machine.result_device().encode(), DEVICE_NAME),
            _to_host(states, number),
        )

    def compile(self, f: Callable[[Config, TrainState], Any], job: Job) -> Callable[[], Any]:
        """Return a function that applies `f` to each agent of a job as it goes on, compiled."""
        assert job.before is not None

        def of_agent(config: Config, state: TrainState) -> Any:
            return f(config, state._replace(key=jax.random.wrap_key_data(state.key)))

        number = len(job.agents)
        num_rows = jnp.int32(-(-number // self.num_devices))
        settings, _ = self._inputs(job.configs, job.key_data)
        states = jax.tree.map(functools.partial(self._put, number), job.before.state)
        arguments = num_rows, (), (settings, states)
        return functools.partial(self._jit(of_agent).lower(*arguments).compile(), *arguments)


def make_population(
    config: Config,
    num_agents: int,
    devices: Sequence[jax.Device],
    slice_size: int | None,
    num_episodes: int,
) -> Population:
    """Compile a population for slices of the `num_agents` agents of one static setting.

    A `slice_size` of None is as many agents per slice as are useful and fit into memory.

    Raises:
        ValueError: it does not fit into memory.
    """
    rows = -(-min(num_agents, slice_size or num_agents) // len(devices))
    if slice_size is None and devices[0].platform in ONE_BY_ONE:
        rows = min(rows, _MOST_ROWS)
    while True:
        population = Population(config, devices, rows, num_episodes)
        taken = population.memory_bytes / free_bytes()
        if slice_size is not None or rows == 1 or taken <= _SHARE_OF_MEMORY:
            break
        rows = max(1, int(rows * _SHARE_OF_MEMORY / taken))
    remedy = "try a smaller slice_size or num_envs" if slice_size else "try a smaller num_envs"
    require_memory(population.memory_bytes, remedy)
    return population


def _to_host(tree: Any, number: int) -> Any:
    """Return arrays [row, device, ...] of `number` agents as NumPy arrays [agent, ...]."""
    return jax.tree.map(lambda x: np.asarray(x).reshape(-1, *x.shape[2:])[:number], tree)


def _one_by_one(f: Callable[..., Any], num_rows: Array, rows: Any) -> Any:
    """Apply `f` to the first `num_rows` rows, unmapped; of the others the results are zero."""

    def of_row(i: Array) -> Any:
        return f(*jax.tree.map(lambda x: x[i], rows))

    total = jax.tree.leaves(rows)[0].shape[0]
    shapes = jax.eval_shape(of_row, num_rows)
    return jax.lax.fori_loop(
        0,
        num_rows,
        lambda i, results: jax.tree.map(lambda r, x: r.at[i].set(x), results, of_row(i)),
        jax.tree.map(lambda x: jnp.zeros((total, *x.shape), x.dtype), shapes),
    )


# Keys pass in and out as data: an array of keys that is indexed counts as used.


def _start(config: Config, key_data: Array) -> TrainState:
    state = init(config, jax.random.wrap_key_data(key_data))
    return state._replace(key=jax.random.key_data(state.key))


def _advance(
    length: Array, num_updates: Array, config: Config, state: TrainState, longest: int
) -> tuple[TrainState, Metrics]:
    state = state._replace(key=jax.random.wrap_key_data(state.key))
    state, metrics = program.run_updates(config, state, length, num_updates, longest)
    return state._replace(key=jax.random.key_data(state.key)), metrics


def _evaluate(config: Config, params: Any, num_episodes: int) -> Any:
    return evaluate(config, params, jax.random.key(0), num_episodes).episode_return
