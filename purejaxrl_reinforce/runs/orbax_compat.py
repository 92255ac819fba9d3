"""Orbax in one of several processes, of which the others take no part in a checkpoint."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
from orbax.checkpoint import v1 as ocp
from orbax.checkpoint.experimental.v1._src.synchronization import multihost

from purejaxrl_reinforce.execution.processes import is_alone


@contextlib.contextmanager
def by_itself() -> Iterator[None]:
    """Let what begins within it neither wait for other processes nor leave a part to them.

    What is saved must be whole on all devices of all processes: orbax refuses arrays that are on
    this process's devices alone. Where there is one process, nothing is changed.
    """
    if is_alone():
        yield
        return
    here, context = jax.process_index(), ocp.Context()
    context.multiprocessing.primary_host = here
    context.multiprocessing.active_processes = {here}
    context.multiprocessing.barrier_sync_key_prefix = f"process{here}"
    context.array.saving.use_replica_parallel = False
    # It is refused where some of several processes have none. What is lost with it is which arrays
    # are keys: see `with_keys`.
    context.array.saving.array_metadata_store = None
    count = multihost.process_count
    # Orbax 0.12.8 compares paths between all processes, whatever the active ones are.
    multihost.process_count = lambda: 1
    try:
        with context:
            yield
    finally:
        multihost.process_count = count


def with_keys(tree: Any, target: Any) -> Any:
    """Return a loaded tree with keys again where `target` has them."""

    def one(x: jax.Array, like: Any) -> jax.Array:
        if like.dtype == x.dtype:
            return x
        return jax.random.wrap_key_data(x, impl=jax.random.key_impl(like))

    return jax.tree.map(one, tree, target)
