"""Coordination of several processes, on one host or many, that train one run.

Process 0 is the primary: it alone writes and prints. Whatever depends on a clock, a signal or a
file is decided for all processes at once, so that all take the same branch. With a single process
nothing here is a collective.
"""

import atexit
import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from purejaxrl_reinforce.execution.jax_private import multihost_utils

T = TypeVar("T")


class PeerLostError(ConnectionError):
    """Another process has ended or cannot be reached: no collective is possible any more."""


class PeerFailedError(SystemExit):
    """Another process failed and prints why; this one exits silently with the same code."""

    code: int


def is_single_process() -> bool:
    """Return whether this is the only process."""
    return jax.process_count() == 1


def is_primary() -> bool:
    """Return whether this process is the one that writes and prints."""
    return jax.process_index() == 0


@contextlib.contextmanager
def collective() -> Iterator[None]:
    """Run a collective operation; a PeerLostError says that it failed: a process has ended."""
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        # A failed collective raises either of them; running out of memory must stay what it is.
        if is_single_process() or "RESOURCE_EXHAUSTED" in str(error):
            raise
        atexit.register(os._exit, 1)  # jax would wait for the lost process, and then abort
        raise PeerLostError(
            "another process has ended or cannot be reached; restart all processes: train --resume"
            f" RUN resumes from the latest checkpoint ({str(error).splitlines()[0]})"
        ) from None


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Run a block on every process; where it raises on one of them, it raises on all at its end.

    There it is a PeerFailedError; of several that fail, the lowest raises its own error.
    """
    if is_single_process():
        yield
        return
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure = error
    code = 0 if failure is None else 2 if isinstance(failure, ValueError) else 1
    if isinstance(failure, PeerFailedError):
        code = failure.code
    codes = _of_all(np.int32(code))
    if not codes.any():
        return
    first_failed = int(np.argmax(codes > 0))
    if failure is not None and first_failed == jax.process_index():
        raise failure
    raise PeerFailedError(int(codes[first_failed]))


def on_primary(do: Callable[..., T], *arguments: Any) -> T | None:
    """Call a function on the primary, `together`; return its result there, None elsewhere."""
    with together():
        return do(*arguments) if is_primary() else None


def broadcast_from_primary(make: Callable[[], T]) -> T:
    """Return on every process the result of `make` on the primary, which fails `together`.

    That is JSON values and NumPy arrays (see `to_host`), in lists, tuples and dictionaries; on the
    other processes tuples are lists.
    """
    if is_single_process():
        return make()
    from flax.serialization import msgpack_restore, msgpack_serialize

    message = on_primary(lambda: msgpack_serialize(_with_lists(make()))) or b""
    with collective():
        size = multihost_utils.broadcast_one_to_all(np.int32(len(message)))
        padded = np.frombuffer(message.ljust(int(size), b"\0"), np.uint8)
        # A sum with zeros of the other processes, exact for bytes.
        received = np.asarray(multihost_utils.broadcast_one_to_all(padded))
    result: T = msgpack_restore(received.tobytes())
    return result


def _with_lists(value: Any) -> Any:
    """Return `value` with lists for tuples."""
    if isinstance(value, dict):
        return {name: _with_lists(x) for name, x in value.items()}
    return [_with_lists(x) for x in value] if isinstance(value, list | tuple) else value


def require_equal(facts: Mapping[str, Any]) -> None:
    """Compare facts (JSON values by name) with the primary's; a ValueError names a difference."""
    here, first = _with_lists(dict(facts)), broadcast_from_primary(lambda: facts)
    with together():
        for name in [*first, *here] if not is_primary() else ():
            if first.get(name) != here.get(name):
                raise ValueError(
                    f"{name} is {first.get(name, 'not given')} in process 0 and"
                    f" {here.get(name, 'not given')} in process {jax.process_index()}; give all"
                    " processes the same command and the same packages"
                )


def max_over_processes(*values: float) -> tuple[float, ...]:
    """Return for each of `values` (float32, equally many everywhere) its maximum over processes."""
    if is_single_process():
        return values
    return tuple(_of_all(np.asarray(values, np.float32)).max(axis=0).tolist())


def to_host(tree: Any) -> Any:
    """Gather global arrays on every process as NumPy arrays, which stay; keys as their key data."""

    def gather(x: Any) -> np.ndarray:
        if isinstance(x, np.ndarray):
            return x
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))

    with collective():
        return jax.tree.map(gather, tree)


def _of_all(x: np.ndarray | np.generic) -> np.ndarray:
    """Return `x` of all processes, stacked."""
    with collective():
        return np.asarray(multihost_utils.process_allgather(x))
