"""Compiled training: a program for chunks of updates, and the loop that runs them."""

import contextlib
import functools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from purejaxrl_reinforce.algorithm.state import Metrics, TrainState
from purejaxrl_reinforce.config import Config, require_config
from purejaxrl_reinforce.execution import kept, memory, processes, sharding
from purejaxrl_reinforce.execution.fingerprint import UPDATES
from purejaxrl_reinforce.execution.sharding import LANES, REPLICATED, STATE

S = TypeVar("S")

SECONDS_PER_CHUNK = 0.5
LONGEST_CHUNK = 1024


class Chunk(NamedTuple, Generic[S]):
    """Some updates, as the host sees them.

    Attributes:
        state: after them.
        metrics: theirs, NumPy arrays whose last axis is that of the updates.
        seconds: that they took.
    """

    state: S
    metrics: Metrics
    seconds: float


def run_chunks(
    advance: Callable[[S, int], tuple[S, Metrics]],
    state: S,
    num_updates: int,
    longest: int,
    seconds: float,
    done: int = 0,
    every: int | None = None,
) -> Iterator[Chunk[S]]:
    """Train to the last update, in chunks that take about `seconds`.

    Args:
        advance: does so many updates, `longest` at most; returns the state, and metrics as NumPy.
        done: updates that `state` has behind it.
        every: a chunk ends wherever the number of updates is a multiple of this.
    """
    length = 1
    while done < num_updates:
        length = min(length, longest, num_updates - done)
        if every is not None:
            length = min(length, every - done % every)
        if done < UPDATES:  # after which the fingerprint of a run is taken
            length = min(length, UPDATES - done)
        started = time.perf_counter()
        state, metrics = advance(state, length)
        (taken,) = processes.max_over_processes(time.perf_counter() - started)
        yield Chunk(state, metrics, taken)
        done += length
        # At most doubling keeps one slow or fast chunk from setting the pace.
        length = max(1, min(2 * length, int(length * seconds / taken)))


class NonFiniteError(ArithmeticError):
    """Training met a loss, gradient or parameter that is not finite.

    Attributes:
        update: number of the update where that happened, counted from 1. It was not applied.

    Example:
        >>> from purejaxrl_reinforce import Config, NonFiniteError, train_run
        >>> config = Config(num_envs=4, num_steps=50, num_updates=3, baseline_lr=1e38)
        >>> try:
        ...     run = train_run(config, 0, "runs/too-fast")
        ... except NonFiniteError as error:
        ...     print(error.update)
        2
    """

    def __init__(self, update: int, metrics: Metrics) -> None:
        found = ", ".join(
            f"{name} is {value}"
            for name, value in metrics.by_name().items()
            if name.endswith(("_loss", "_norm", "entropy")) and not np.isfinite(value)
        )
        super().__init__(f"update {update} is not finite: {found or 'its new parameters are not'}")
        self.update = update


@functools.cache  # a further run of this process with equal shapes is not traced again
def _chunk(mesh: Mesh) -> Any:
    """Return the compiled `run_updates` of lanes that are sharded over the devices of a mesh."""
    chunk = functools.partial(run_updates, longest=LONGEST_CHUNK)
    in_specs = REPLICATED, STATE, REPLICATED, REPLICATED
    return jax.jit(
        sharding.shard_lanes(chunk, mesh, in_specs=in_specs, out_specs=(STATE, REPLICATED))
    )


@functools.cache
def _whole(mesh: Mesh) -> Any:
    """Return a compiled training from a key, of lanes sharded over the devices of a mesh."""
    from purejaxrl_reinforce.algorithm.reinforce import all_updates, init

    updates, out_specs = functools.partial(all_updates, axis=LANES), (STATE, REPLICATED)
    shards = sharding.shard_lanes(updates, mesh, in_specs=(REPLICATED, STATE), out_specs=out_specs)
    return jax.jit(lambda config, key: shards(config, init(config, key)))


def make_train(
    config: Config, devices: Sequence[jax.Device] | None = None
) -> Callable[[Array], tuple[TrainState, Metrics]]:
    """Return `train` of a configuration with its lanes sharded over devices, compiled.

    It takes a typed key and returns the final state and metrics of shape [num_updates], in memory.
    `train` itself is of one device, and can be mapped by `jax.vmap`.

    Args:
        config: of the training.
        devices: all that jax has if None; of these, as many as divide the lanes.

    Example:
        >>> import jax
        >>> from purejaxrl_reinforce import Config, make_train
        >>> train = make_train(Config(num_envs=4, num_steps=50, num_updates=3))
        >>> train(jax.random.key(0))[1].mean_return.shape
        (3,)
    """
    require_config(config)
    return functools.partial(_whole(sharding.lane_mesh(config.num_envs, devices)), config)


class Program:
    """Training compiled for one configuration, or loaded from `found`, ready to run.

    With `keep`, compiled programs are kept for later processes, see `kept`.

    Attributes:
        config: of the training.
        mesh: the devices that its lanes are sharded over.
        state: before the first update.
        is_kept: whether it was loaded: states are then trees of dictionaries, see `kept.load`.
        compile_seconds: of tracing and compiling, or of loading.
        own_metrics: the names of the user's own, in the order of their columns.
        memory_bytes: peak memory of the compiled program on all devices of this process,
            inputs and results included.

    Raises:
        ValueError: that is more than is free, or processes cannot have equal numbers of lanes.
    """

    def __init__(
        self, config: Config, key: Array, found: kept.Kept | None = None, keep: bool = False
    ) -> None:
        started = time.perf_counter()
        self.config = config
        self.mesh = sharding.lane_mesh(config.num_envs)
        # The number of updates is an argument: one program fits any.
        self._settings = config.replace(num_updates=1)
        self.own_metrics: tuple[str, ...] = ()  # of programs that are kept, too
        loaded = None if found is None else kept.load(found, self._settings, self.mesh)
        self.is_kept = loaded is not None
        with kept.compiled_anew(self._settings) if keep else contextlib.nullcontext():
            initial, self._run = loaded or self._compile(key)
        self.memory_bytes = len(self.mesh.local_devices) * memory.program_bytes(self._run)
        memory.require_memory(self.memory_bytes, "try smaller num_envs, num_steps or hidden_sizes")
        self.state = sharding.shard_state(initial(self._settings, key), self.mesh)
        if keep and not self.is_kept:
            arguments = (initial, self._run), self._settings, self.state
            threading.Thread(target=kept.save, args=arguments).start()
        self.compile_seconds = time.perf_counter() - started

    def _compile(self, key: Array) -> tuple[Any, Any]:
        """Return two programs: the first state, and updates; each mostly occupies one core."""
        from purejaxrl_reinforce.algorithm.reinforce import init

        with ThreadPoolExecutor(max_workers=1) as pool:
            traced = init.trace(self._settings, key)  # type: ignore[attr-defined]
            initial = pool.submit(lambda: traced.lower().compile())
            one = np.int32(1)
            lowered = _chunk(self.mesh).lower(self._settings, traced.out_info, one, one)
            self.own_metrics = tuple(lowered.out_info[1].own)
            run = lowered.compile()
            return initial.result(), run

    def advance(self, state: TrainState, length: int) -> tuple[TrainState, Metrics]:
        """Do `length` updates, LONGEST_CHUNK at most; return the state and metrics [length]."""
        with processes.collective():
            sizes = np.int32(length), np.int32(self.config.num_updates)
            state, buffers = jax.block_until_ready(self._run(self._settings, state, *sizes))
        return state, _rows(buffers, slice(length))

    def run(
        self,
        state: TrainState | None = None,
        every: int | None = None,
        seconds: float = SECONDS_PER_CHUNK,
    ) -> Iterator[Chunk[TrainState]]:
        """Train from `state`, or that before the first update, to the last, see `run_chunks`.

        The last is that of `num_updates`, or an earlier one that reaches `stop_at`.

        Results do not depend on the length of the chunks: the same compiled update runs.

        Raises:
            NonFiniteError: after the chunk that ends with the last applied update.
        """
        state = self.state if state is None else state
        last, done = self.config.num_updates, int(state.update)
        for chunk in run_chunks(self.advance, state, last, LONGEST_CHUNK, seconds, done, every):
            finite = chunk.metrics.finite
            if np.all(finite):
                yield chunk
                continue
            applied = int(np.argmin(finite))
            yield chunk._replace(metrics=_rows(chunk.metrics, slice(applied)))
            if not chunk.metrics.num_steps[applied]:  # `stop_at` was reached before
                return
            raise NonFiniteError(int(chunk.state.update) + 1, _rows(chunk.metrics, applied))


def run_updates(
    config: Config, state: TrainState, length: Array, num_updates: Array, longest: int
) -> tuple[TrainState, Metrics]:
    """Do `length` of `num_updates` updates on this device's lanes; LANES is the device axis.

    Metrics are buffers [longest] of which the first `length` rows are filled.
    """
    from purejaxrl_reinforce.algorithm.reinforce import step_or_stay

    shapes = jax.eval_shape(lambda: step_or_stay(config, state, LANES, num_updates)[1])
    buffers = jax.tree.map(lambda x: jnp.zeros((longest, *x.shape), x.dtype), shapes)

    def body(i: Array, carry: tuple[TrainState, Metrics]) -> tuple[TrainState, Metrics]:
        state, metrics = step_or_stay(config, carry[0], LANES, num_updates)
        return state, jax.tree.map(lambda b, x: b.at[i].set(x), carry[1], metrics)

    return jax.lax.fori_loop(0, length, body, (state, buffers))


def _rows(buffers: Metrics, which: slice | int) -> Metrics:
    return jax.tree.map(lambda x: np.asarray(x)[which], buffers)
