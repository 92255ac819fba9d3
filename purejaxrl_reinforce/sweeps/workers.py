"""Slices that workers of an executor train: threads, processes, or workers of a Dask cluster.

A worker needs this package and nothing else: it gets a `Job` and returns a `Slice`, which the
client writes. A slice occupies one device of its worker, so results have the bits of any other
division on the same kind of device.
"""

import contextlib
import functools
import itertools
import logging
import queue
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

import jax
import numpy as np

from purejaxrl_reinforce.execution import machine
from purejaxrl_reinforce.sweeps.population import Job, Population, Slice, make_population

# Slices of a program, at least, where it has so many agents: as many workers have work.
_SLICES = 64
# Agents of a slice, at most; they are lost with a worker.
_MOST_AGENTS = 128
# Slices that are submitted and not finished.
_MOST_AHEAD = 256
_SECONDS_BETWEEN_SIGNS = 0.5


class WorkersLostError(ConnectionError):
    """An executor has no workers any more, or a slice ended several of them."""


def slice_sizes(num_agents: np.ndarray, slice_size: int | None) -> list[int]:
    """Return how many of each program's agents are a slice."""
    return [slice_size or min(-(-n // _SLICES), _MOST_AGENTS) for n in num_agents.tolist()]


def train_jobs(
    executor: futures.Executor, jobs: Iterator[Job]
) -> Iterator[tuple[Job, Slice] | None]:
    """Train jobs, in any order; yield finished ones, and None about twice a second.

    Args:
        executor: any; a Dask cluster's trains a slice again whose worker is gone.
        jobs: they are taken when workers are free.

    Raises:
        ValueError: the executor forks processes, or a worker has other settings of jax.
        WorkersLostError: see there.
    """
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise ValueError(
            "processes that are forked cannot use jax: give the executor"
            " mp_context=multiprocessing.get_context('spawn')"
        )
    pending: dict[futures.Future[Slice], Job] = {}
    settings = machine.result_settings()
    try:
        while True:
            for job in itertools.islice(jobs, _MOST_AHEAD - len(pending)):
                pending[executor.submit(train_remotely, job, settings)] = job
            if not pending:
                return
            some = futures.FIRST_COMPLETED
            done, _ = futures.wait(pending, _SECONDS_BETWEEN_SIGNS, return_when=some)
            for future in done:
                yield pending.pop(future), _result(future)
            if not done:
                yield None
    finally:
        for future in pending:
            future.cancel()


def _result(future: "futures.Future[Slice]") -> Slice:
    try:
        return future.result()
    except Exception as error:
        lost = futures.CancelledError, futures.BrokenExecutor, ConnectionError
        # The last is of Dask, which need not be installed.
        if not isinstance(error, lost) and type(error).__name__ != "KilledWorker":
            raise
        raise WorkersLostError(
            f"workers are lost: {' '.join(str(error).split()) or type(error).__name__}; finished"
            " slices are kept, rerun the same sweep command to finish"
        ) from None


# What each device of this process has compiled, by program. Who takes a device has it alone.
_Compiled = dict[Any, Population]
_LOCK = threading.Lock()


@functools.cache
def _free_devices() -> "queue.SimpleQueue[tuple[jax.Device, _Compiled]]":
    free: queue.SimpleQueue[tuple[jax.Device, _Compiled]] = queue.SimpleQueue()
    for device in jax.local_devices():
        free.put((device, {}))
    return free


def train_remotely(job: Job, settings: Mapping[str, Any]) -> Slice:
    """Train a job on one device of this process.

    Raises:
        ValueError: jax has other settings than the client's; or there is not enough memory.
    """
    for name, here in machine.result_settings().items():
        if settings[name] != here:
            raise ValueError(
                f"a worker has {name}={here}, the client {settings[name]}: results would differ"
            )
    config = job.configs[0].replace(num_updates=1)  # which does not shape the program
    key = jax.tree.structure(config), job.room, job.num_episodes
    with _LOCK:
        free = _free_devices()
    device, compiled = taken = free.get()
    try:
        if key not in compiled:
            size = job.room
            compiled[key] = make_population(config, size, [device], size, job.num_episodes)
        *_, part = compiled[key].train(job)
    finally:
        free.put(taken)
    assert isinstance(part, Slice)
    return part


@contextlib.contextmanager
def dask_executor(address: str) -> Iterator[futures.Executor]:
    """Connect to the scheduler of a Dask cluster.

    Raises:
        ValueError: dask.distributed is not installed, or no scheduler answers.
    """
    machine.require_extra("dask", "distributed")
    from distributed import Client

    # What goes wrong is said in a line.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=10, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"no Dask scheduler answers at {address}: {reason}") from None
    with client:
        yield client.get_executor(pure=False)
