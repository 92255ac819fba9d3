"""Blocks of time steps, lanes and rows: the sizes for each kind of device, and loops over rows."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_batching import custom_vmap

from purejaxrl_reinforce.config import Config

Carry = TypeVar("Carry")


class Tuning(NamedTuple):
    """The shape of the program for a kind of device; results differ by the order of sums only.

    Attributes:
        block_steps: time steps of a rollout between two checks for living lanes.
        lane_width: most lanes that a rollout plays at once; further ones are played afterwards.
        block_rows: most rows (steps of one lane) per block of the backward pass.
        unroll_block: write out the time steps of a block instead of looping over them.
        unroll_returns: time steps in one round of the return recursion's loop.
        skip_resets: in a stream, compute resets only at steps that finish an episode.
    """

    block_steps: int
    lane_width: int
    block_rows: int
    unroll_block: bool = False
    unroll_returns: int = 1
    skip_resets: bool = True


# On a CPU a step's arrays should stay in a core's cache. On a GPU every operation is a launch, and
# arrays that do not fuse go through memory. See benchmarks/README.md for measurements on a CPU
# and counted in programs compiled for a GPU; nothing was measured on an accelerator.
TUNINGS = {
    "cpu": Tuning(10, 1024, 1024),
    "gpu": Tuning(20, 2**20, 2**22, unroll_block=True, unroll_returns=32, skip_resets=False),
    "tpu": Tuning(32, 2**20, 2**18),
}


def tuning(config: Config) -> Tuning:
    """Return the tuning of the configuration's platform, with the sizes that `config` sets."""
    platform = jax.default_backend() if config.platform == "auto" else config.platform
    default = TUNINGS.get(platform, TUNINGS["gpu"])
    sizes = {name: getattr(config, name) for name in ("block_steps", "lane_width", "block_rows")}
    return default._replace(**{name: size for name, size in sizes.items() if size is not None})


def num_groups(num_lanes: int, lane_width: int) -> int:
    """Return into how many equal groups of at most `lane_width` lanes a rollout is cut.

    That is a power of two. Lanes that it does not divide stay in larger groups.
    """
    wanted = -(-num_lanes // lane_width)
    return math.gcd(num_lanes, 2 ** (wanted - 1).bit_length())


def equal_parts(total: int, longest: int) -> int:
    """Return the length of the fewest equal parts, none above `longest`, that cover `total`."""
    return -(-total // -(-total // longest))


def _unmapped(reduce: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Return a reduction to a scalar, also under `jax.vmap`: all mapped over loop equally often."""
    function = custom_vmap(lambda x: reduce(x))
    function.def_vmap(lambda _axis_size, _in_batched, x: (function(x), False))
    return function


any_lane = _unmapped(jnp.any)
_largest = _unmapped(jnp.max)


def split_rows(tree: Any, block_rows: int) -> Any:
    """Reshape the leaves of `tree` from [T, N, ...] to [blocks, rows, ...].

    Blocks are equally long, with at most `block_rows` rows; the last one is padded with zeros.
    """

    def split(x: Array) -> Array:
        x = x.reshape(-1, *x.shape[2:])
        rows = equal_parts(x.shape[0], block_rows)
        padding = -x.shape[0] % rows
        if padding:
            x = jnp.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(-1, rows, *x.shape[1:])

    return jax.tree.map(split, tree)


def live_blocks(valid: Array) -> Array:
    """Return how many blocks of valid [blocks, rows] hold a valid row or come before one."""
    alive = jnp.any(valid, axis=1)
    return _largest(jnp.where(alive, jnp.arange(1, alive.shape[0] + 1), 0))


def fold_blocks(
    body: Callable[[Carry, Any, Array], Carry], carry: Carry, blocks: Any, num_blocks: Array
) -> Carry:
    """Fold `body(carry, block, i)` over the first `num_blocks` blocks of `blocks`."""
    return lax.fori_loop(
        0, num_blocks, lambda i, c: body(c, jax.tree.map(lambda x: x[i], blocks), i), carry
    )
