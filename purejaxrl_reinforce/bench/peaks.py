"""Peak rates of this machine, measured: of a matrix product and of a pass over memory."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from purejaxrl_reinforce.bench.timing import measure

# The best of these counts: other processes on the machine only lower the rate.
_REPEATS = 10


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
    sharding = _over_devices()
    product = jax.jit(
        jax.shard_map(
            lambda x: (x[0] @ x[0])[None],
            mesh=sharding.mesh,
            in_specs=sharding.spec,
            out_specs=sharding.spec,
        )
    )
    shape = jax.local_device_count(), size, size
    x = jax.device_put(jax.random.normal(jax.random.key(0), shape), sharding)
    seconds = measure({"product": lambda: product(x)}, _REPEATS)["product"].min
    return shape[0] * 2 * size**3 / seconds


def _memory_rate(num_bytes: int) -> float:
    """Return bytes per second, read and written, of scaling an array in place.

    In place, because the operating system's first touch of fresh pages costs several times more
    than the pass itself.
    """
    sharding = _over_devices()
    rows = jnp.ones((jax.local_device_count(), num_bytes // 4 // jax.local_device_count()))
    scale = jax.jit(lambda x: x * 0.999, donate_argnums=0, out_shardings=sharding)
    array = jax.device_put(rows, sharding)

    def scale_in_place() -> jax.Array:
        nonlocal array
        array = scale(array)
        return array

    moved = 2 * 4 * array.size
    return moved / measure({"copy": scale_in_place}, _REPEATS)["copy"].min


def _over_devices() -> NamedSharding:
    mesh = Mesh(np.asarray(jax.local_devices()), ("device",))
    return NamedSharding(mesh, P("device"))
