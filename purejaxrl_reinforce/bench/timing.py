"""Interleaved timing of compiled functions; nothing is traced or compiled while the clock runs.

Peak rates of the machine are measured so too: of a matrix product and of a pass over memory.
"""

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

# Without it, times of compiling can include what was kept.
from jax.experimental.compilation_cache import compilation_cache

from purejaxrl_reinforce.execution.signals import interruptible
from purejaxrl_reinforce.statistics import Interval

# A sample is as many calls as fill this many seconds, so that the clock's grain does not show.
SHORTEST_SAMPLE = 0.01
# What takes less than this runs once untimed before each sample. A long call just before leaves
# memory to be freed and cold caches: with 67 ms of training, that tripled the time.
SETTLING_SECONDS = 0.5
# jax reports tracing, lowering and the backend's compilation below this name.
_COMPILE_EVENTS = "/jax/core/compile/"
# Of the samples of a ratio, for its interval.
_RESAMPLES = 2_000

Call = Callable[[], Any]


# What became of a sample: the last one of a timing may have come to nothing.
DONE, INTERRUPTED, FAILED = "done", "interrupted", "failed"


class Timing(NamedTuple):
    """Seconds per call, one sample per repeat, and how many calls a sample averages.

    The `status` is DONE, or says what became of a further sample.
    """

    samples: tuple[float, ...]
    calls_per_sample: int
    status: str = DONE

    @property
    def min(self) -> float:
        return min(self.samples)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)


class RecompilationError(RuntimeError):
    """Something was traced or compiled while the clock ran."""


@contextlib.contextmanager
def cold_caches() -> Iterator[None]:
    """Compile as a new process without a persistent cache does."""
    enabled = jax.config.values["jax_enable_compilation_cache"]
    jax.clear_caches()
    _use_persistent_cache(False)
    try:
        yield
    finally:
        _use_persistent_cache(enabled)


def measure(calls: Mapping[str, Call], repeats: int = 5) -> dict[str, Timing]:
    """Time functions, interleaved (A B C, A B C, ...), after a warm-up of each.

    Each is waited for with `block_until_ready` on what it returns. Below five samples (`repeats`)
    say little about noise. Where Ctrl-C or an error of jax ends one, those before it are kept, once
    there is one of each function.

    Raises:
        RecompilationError: a function is traced or compiled again after its warm-up.
    """
    warm = {name: _warm_up(call) for name, call in calls.items()}
    samples: dict[str, list[float]] = {name: [] for name in calls}
    statuses = dict.fromkeys(calls, DONE)
    with no_compilation(), interruptible():
        for name in (name for _ in range(repeats) for name in calls):
            (seconds, number), call = warm[name], calls[name]
            try:
                if seconds < SETTLING_SECONDS:
                    _seconds(call, 1)
                samples[name].append(_seconds(call, number))
            except (KeyboardInterrupt, jax.errors.JaxRuntimeError) as error:
                if not all(samples.values()):
                    raise
                statuses[name] = INTERRUPTED if isinstance(error, KeyboardInterrupt) else FAILED
                break
    return {
        name: Timing(tuple(taken), warm[name][1], statuses[name]) for name, taken in samples.items()
    }


@contextlib.contextmanager
def no_compilation() -> Iterator[None]:
    """Raise RecompilationError at the end if anything was traced or compiled inside."""
    compiled: list[str] = []

    def listen(event: str, duration_secs: float, **details: Any) -> None:  # noqa: ARG001
        if event.startswith(_COMPILE_EVENTS):
            compiled.append(str(details.get("fun_name", "a function")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    if compiled:
        names = ", ".join(sorted(set(compiled)))
        raise RecompilationError(f"traced or compiled while the clock ran: {names}")


def _use_persistent_cache(enabled: bool) -> None:
    jax.config.update("jax_enable_compilation_cache", enabled)
    # jax looks at the setting once and remembers.
    compilation_cache.reset_cache()


def _warm_up(call: Call) -> tuple[float, int]:
    """Run `call`; return the seconds of one, and how many fill a sample."""
    seconds = _seconds(call, 1)
    if seconds < 1:  # else a second look costs more than it tells
        seconds = _seconds(call, 1)
    return seconds, max(1, math.ceil(SHORTEST_SAMPLE / max(seconds, 1e-9)))


def _seconds(call: Call, number: int) -> float:
    """Return the seconds per call of `number` calls, each waited for."""
    started = time.perf_counter()
    for _ in range(number):
        jax.block_until_ready(call())
    return (time.perf_counter() - started) / number


def ratio_of_medians(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return median(a) / median(b), of samples from separate runs, with its 95% interval."""
    draws = np.random.default_rng(0)  # the same samples always compare the same
    x, y = (np.asarray(z)[draws.integers(len(z), size=(_RESAMPLES, len(z)))] for z in (a, b))
    resampled = _divided(np.median(x, axis=1), np.median(y, axis=1))
    # Interpolating between a finite and an infinite ratio would give NaN.
    low, high = np.percentile(resampled, (2.5, 97.5), method="inverted_cdf")
    return Interval(float(_divided(np.median(a), np.median(b))), float(low), float(high))


def _divided(a: Any, b: Any) -> Any:
    """Return a / b; a task that both never finished (infinite) has not changed: 1."""
    both = np.isinf(a) & np.isinf(b)
    return np.divide(np.where(both, 1.0, a), np.where(both, 1.0, b))


def paired_ratio(a: Sequence[float], b: Sequence[float]) -> Interval:
    """Return the median of a_i / b_i, of samples that were taken in turn, with its 95% interval.

    What disturbs both of a pair alike, such as a clock that changes, cancels.
    """
    return ratio_of_medians([x / y for x, y in zip(a, b, strict=True)], [1.0])


# The best of these counts: other processes on the machine only lower the rate.
_PEAK_REPEATS = 10


class Peaks(NamedTuple):
    """Peak rates of all local devices together, in a float32 program of default precision.

    Attributes:
        matmul_flops: floating-point operations per second of a large matrix product.
        memory_bytes: bytes per second, read and written, of a pass over a large array.
    """

    matmul_flops: float
    memory_bytes: float


def measure_peaks() -> Peaks:
    """Measure the peak rates of this machine; takes about two seconds on a CPU."""
    # Enough to fill the device and to leave its caches, few enough for about a second.
    on_cpu = jax.default_backend() == "cpu"
    sizes, num_bytes = ((1024, 2048), 2**28) if on_cpu else ((4096, 8192), 2**30)
    return Peaks(max(_matmul_rate(size) for size in sizes), _memory_rate(num_bytes))


def _matmul_rate(size: int) -> float:
    """Return FLOP/s of one product on each device at the same time."""
    square, product = jax.random.normal(jax.random.key(0), (size, size)), jax.jit(jnp.matmul)
    factors = [jax.device_put(square, device) for device in jax.local_devices()]
    return len(factors) * 2 * size**3 / _least_seconds(lambda: [product(x, x) for x in factors])


def _memory_rate(num_bytes: int) -> float:
    """Return bytes per second, read and written, of scaling an array on each device."""
    # In place: the first touch of fresh pages costs several times more than the pass itself.
    devices, scale = jax.local_devices(), jax.jit(lambda x: x * 0.999, donate_argnums=0)
    arrays = [jnp.ones(num_bytes // 4 // len(devices), device=device) for device in devices]

    def scale_in_place() -> list[jax.Array]:
        arrays[:] = map(scale, arrays)
        return arrays

    return 2 * sum(x.nbytes for x in arrays) / _least_seconds(scale_in_place)


def _least_seconds(call: Call) -> float:
    """Return the least seconds of a call; Ctrl-C ends all, since a peak by itself is no result."""
    timing = measure({"": call}, _PEAK_REPEATS)[""]
    if timing.status == INTERRUPTED:
        raise KeyboardInterrupt
    return timing.min
