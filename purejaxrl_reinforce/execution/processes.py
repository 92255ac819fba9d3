"""Coordination of several processes, on one host or many, that train one run or sweep.

Process 0 is the primary: it alone writes and prints. Whatever depends on a clock, a signal or a
file is decided for all processes at once, so that all take the same branch. With a single process
every function here does its work directly, without a collective.
"""

import contextlib
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding

from purejaxrl_reinforce.execution.messages import pack, unpack

T = TypeVar("T")

# A message of the primary process up to this many bytes takes one collective.
_PACKET = 4096
_LENGTH_BYTES = 8


class PeerLostError(ConnectionError):
    """Another process has ended or cannot be reached: no collective is possible any more."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            "another process has ended or cannot be reached; restart all processes: train --resume"
            " RUN resumes from the latest checkpoint, the same sweep command from the last slice"
            + (reason and f" ({reason})")
        )


class PeerFailedError(SystemExit):
    """Another process failed and prints why; this one exits silently with the same code."""


_lost_peer = False


def has_lost_peer() -> bool:
    """Return whether a PeerLostError was raised."""
    return _lost_peer


def is_single_process() -> bool:
    """Return whether this is the only process."""
    return jax.process_count() == 1


def is_primary() -> bool:
    """Return whether this process is the one that writes and prints."""
    return jax.process_index() == 0


@contextlib.contextmanager
def collective() -> Iterator[None]:
    """Run a collective operation, which all processes must run.

    Raises:
        PeerLostError: it failed, as it does when a process ends.
    """
    global _lost_peer
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        # A failed collective raises either of them; running out of memory must stay what it is.
        if is_single_process() or "RESOURCE_EXHAUSTED" in str(error):
            raise
        _lost_peer = True
        raise PeerLostError(str(error).splitlines()[0]) from None


def run_on_all(make: Callable[[], T]) -> T:
    """Return the result of `make` on this process, once it has succeeded on every process.

    Raises:
        PeerFailedError: it raised on another process; of several, the lowest raises its own error.
    """
    if is_single_process():
        return make()
    failure: BaseException | None = None
    try:
        result = make()
    except BaseException as error:
        failure = error
    codes = _gather_numbers(np.int32(exit_code(failure)))
    if not codes.any():
        return result
    first_failed = int(np.argmax(codes > 0))
    if failure is not None and first_failed == jax.process_index():
        raise failure
    raise PeerFailedError(int(codes[first_failed]))


def run_on_primary(do: Callable[[], None]) -> None:
    """Call `do` on the primary process while the others wait.

    Raises:
        PeerFailedError: it raised there, and this is another process.
    """
    run_on_all(do if is_primary() else lambda: None)


def broadcast_from_primary(make: Callable[[], T]) -> T:
    """Return on every process the result of `make` on the primary.

    That is JSON values and NumPy arrays (see `to_host`), in lists, tuples and dictionaries; on the
    other processes tuples are lists.

    Raises:
        PeerFailedError: it raised there, and this is another process.
    """
    if is_single_process():
        return make()
    message = run_on_all((lambda: pack(make())) if is_primary() else bytes)
    result: T = unpack(_broadcast(message))
    return result


def require_equal(facts: Mapping[str, Any]) -> None:
    """Compare the facts (JSON values by name) of all processes.

    Raises:
        ValueError: they differ, and this is the primary process; the message names one.
        PeerFailedError: they differ, and this is another process.
    """
    if is_single_process():
        return
    texts = {name: json.dumps(value) for name, value in facts.items()}
    first, *others = map(json.loads, _gather_bytes(json.dumps(texts).encode()))

    def compare() -> None:
        for number, theirs in enumerate(others, start=1):
            for name in [*first, *theirs]:
                if first.get(name) != theirs.get(name):
                    raise ValueError(
                        f"{name} is {first.get(name, 'not given')} in process 0 and"
                        f" {theirs.get(name, 'not given')} in process {number}; give all processes"
                        " the same command and the same packages"
                    )

    run_on_primary(compare)


def max_over_processes(*values: float) -> tuple[float, ...]:
    """Return for each of `values` (float32, equally many everywhere) its maximum over processes."""
    if is_single_process():
        return values
    return tuple(_gather_numbers(np.asarray(values, np.float32)).max(axis=0).tolist())


def to_host(tree: Any) -> Any:
    """Gather global arrays on every process as NumPy arrays; keys as their key data."""

    def whole(x: Any) -> np.ndarray:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))

    with collective():
        return jax.tree.map(whole, tree)


def to_global(tree: Any, like: Any, sharding: Sharding) -> Any:
    """Make global arrays from host values that are equal on every process.

    Args:
        tree: as `to_host` returns it.
        like: arrays, or their shapes, whose dtypes say which of `tree` are key data.
        sharding: of the results.
    """

    def place(x: np.ndarray) -> jax.Array:
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return _placed(tree, like, place)


def to_local(tree: Any, like: Any) -> Any:
    """Return host values as arrays on a device of this process; `like` as for `to_global`."""
    return _placed(tree, like, lambda x: jax.device_put(x, jax.local_devices()[0]))


def _placed(tree: Any, like: Any, place: Callable[[np.ndarray], jax.Array]) -> Any:
    def one(x: np.ndarray, a: Any) -> jax.Array:
        if not jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key):
            return place(x)
        return jax.random.wrap_key_data(place(x), impl=jax.random.key_impl(a))

    with collective():
        return jax.tree.map(one, tree, like)


def exit_code(failure: BaseException | None) -> int:
    """Return the exit code that an exception leads to, 0 for None."""
    if failure is None:
        return 0
    if isinstance(failure, SystemExit) and isinstance(failure.code, int):
        return failure.code
    if isinstance(failure, KeyboardInterrupt):
        return 128 + int(getattr(failure, "signal", signal.SIGINT))
    return 2 if isinstance(failure, ValueError) else 1


def _gather_numbers(x: np.ndarray | np.generic) -> np.ndarray:
    """Return `x` of all processes, stacked."""
    with collective():
        return np.asarray(multihost_utils.process_allgather(x))


def _gather_bytes(message: bytes) -> list[bytes]:
    """Return the messages of all processes."""
    sizes = _gather_numbers(np.int32(len(message)))
    padded = np.frombuffer(message.ljust(int(sizes.max()), b"\0"), np.uint8)
    rows = _gather_numbers(padded)
    return [row[:size].tobytes() for row, size in zip(rows, sizes, strict=True)]


def _broadcast(message: bytes) -> bytes:
    """Return the message of the primary process; those of the others are ignored."""
    packet = _first_bytes(len(message).to_bytes(_LENGTH_BYTES) + message, _PACKET)
    total = _LENGTH_BYTES + int.from_bytes(packet[:_LENGTH_BYTES])
    if total > _PACKET:
        packet += _first_bytes(message[_PACKET - _LENGTH_BYTES :], total - _PACKET)
    return packet[_LENGTH_BYTES:total]


def _first_bytes(message: bytes, size: int) -> bytes:
    """Return the first `size` bytes of the primary process's message, padded with zeros."""
    buffer = np.frombuffer(message[:size].ljust(size, b"\0"), np.uint8)
    # The broadcast is a sum with zeros of the other processes, exact for bytes.
    with collective():
        return np.asarray(multihost_utils.broadcast_one_to_all(buffer)).tobytes()
