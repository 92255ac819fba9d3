"""Several processes, on one host or many, that do one thing together.

Process 0 is the first: it alone writes and prints. Whatever depends on a clock, a signal or a file
is agreed on, so that all processes go the same way. In a process that is alone every function here
does its work directly, without a collective.
"""

import contextlib
import pickle
import signal
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Sharding

T = TypeVar("T")

# An answer of process 0 up to this many bytes takes one collective.
_PACKET = 4096

_LENGTH_BYTES = 8


class LostProcessError(ConnectionError):
    """Another process has ended or cannot be reached; nothing can be agreed on any more."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(
            "another process has ended or cannot be reached; start all of them again: train"
            " --resume RUN goes on from its latest checkpoint, sweep with the same directory from"
            " its last slice" + (reason and f" ({reason})")
        )


class EndedElsewhereError(SystemExit):
    """Another process failed, and says why; this one ends silently with the same exit code."""


_lost_peer = False


def has_lost_peer() -> bool:
    """Return whether a LostProcessError was raised."""
    return _lost_peer


def is_alone() -> bool:
    """Return whether there is one process only."""
    return jax.process_count() == 1


def is_first() -> bool:
    """Return whether this process is the one that writes and prints."""
    return jax.process_index() == 0


@contextlib.contextmanager
def together() -> Iterator[None]:
    """Do something that needs all processes.

    Raises:
        LostProcessError: it failed, as it does when one of them ends.
    """
    global _lost_peer
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        # Where a collective fails, jax raises either of them; running out of memory has to stay
        # what it is.
        if is_alone() or "RESOURCE_EXHAUSTED" in str(error):
            raise
        _lost_peer = True
        raise LostProcessError(str(error).splitlines()[0]) from None


def agreed(make: Callable[[], T]) -> T:
    """Return what `make` returns here, once it has returned on every process.

    Raises:
        EndedElsewhereError: it raised on another process; with several, on all but the first.
    """
    if is_alone():
        return make()
    failure: BaseException | None = None
    try:
        result = make()
    except BaseException as error:
        failure = error
    codes = _gather_numbers(np.int32(exit_code(failure)))
    if not codes.any():
        return result
    speaker = int(np.argmax(codes > 0))
    if failure is not None and speaker == jax.process_index():
        raise failure
    raise EndedElsewhereError(int(codes[speaker]))


def on_first(do: Callable[[], None]) -> None:
    """Do something on process 0 while the others wait.

    Raises:
        EndedElsewhereError: it raised there, and this is another process.
    """
    agreed(do if is_first() else _nothing)


def from_first(make: Callable[[], T]) -> T:
    """Return on every process what `make` returns on process 0, which can be anything picklable.

    Arrays must be NumPy arrays: see `to_host`.

    Raises:
        EndedElsewhereError: it raised there, and this is another process.
    """
    if is_alone():
        return make()
    message = agreed((lambda: pickle.dumps(make())) if is_first() else bytes)
    result: T = pickle.loads(_broadcast(message))
    return result


def agree_max(*values: float) -> tuple[float, ...]:
    """Return for each of `values` (float32, equally many everywhere) the largest on any process."""
    if is_alone():
        return values
    return tuple(_gather_numbers(np.asarray(values, np.float32)).max(axis=0).tolist())


def to_host(tree: Any) -> Any:
    """Return global arrays whole, as NumPy arrays, on every process; keys as their key data."""

    def whole(x: Any) -> np.ndarray:
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            x = jax.random.key_data(x)
        if x.is_fully_addressable or x.is_fully_replicated:
            return np.asarray(x)
        return np.asarray(multihost_utils.process_allgather(x, tiled=True))

    with together():
        return jax.tree.map(whole, tree)


def to_global(tree: Any, like: Any, sharding: Sharding) -> Any:
    """Return global arrays of host values that are the same on every process.

    Args:
        tree: as `to_host` returns it.
        like: arrays, or their shapes, whose dtypes say which of `tree` are key data.
        sharding: where they are to be.
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

    with together():
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


def _nothing() -> None:
    pass


def _gather_numbers(x: np.ndarray | np.generic) -> np.ndarray:
    """Return `x` of all processes, stacked."""
    with together():
        return np.asarray(multihost_utils.process_allgather(x))


def _broadcast(message: bytes) -> bytes:
    """Return the message of process 0; those of the others are ignored."""
    packet = _first_bytes(len(message).to_bytes(_LENGTH_BYTES) + message, _PACKET)
    total = _LENGTH_BYTES + int.from_bytes(packet[:_LENGTH_BYTES])
    if total > _PACKET:
        packet += _first_bytes(message[_PACKET - _LENGTH_BYTES :], total - _PACKET)
    return packet[_LENGTH_BYTES:total]


def _first_bytes(message: bytes, size: int) -> bytes:
    """Return the first `size` bytes of what process 0 has, with zeros where it has fewer."""
    buffer = np.frombuffer(message[:size].ljust(size, b"\0"), np.uint8)
    # A sum with the zeros of the others: exact for bytes, which is why everything travels as them.
    with together():
        return np.asarray(multihost_utils.broadcast_one_to_all(buffer)).tobytes()
