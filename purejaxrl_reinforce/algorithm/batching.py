"""The lane axis, tunings for each kind of device, and loops over blocks of rows."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import Array
from jax.custom_batching import custom_vmap
from jax.flatten_util import ravel_pytree

from purejaxrl_reinforce.config import Config


class LaneAxis(NamedTuple):
    """The device axis that lanes are sharded over.

    Attributes:
        name: of the mapped axis (`jax.shard_map`), or None where all lanes are here.
    """

    name: str | None = None

    def sum(self, tree: Any) -> Any:
        """Add up floats over all shards, in one collective whatever the number of leaves."""
        if self.is_one_device():
            return tree
        flat, unflatten = ravel_pytree(tree)
        return unflatten(jax.lax.psum(flat, self.name))

    def gather(self, tree: Any) -> Any:
        """Return the scalars of each shard, [shards], in one collective.

        The leaves are of 4 bytes. Extremes and sums of all kinds then need no further collective.
        """
        if self.is_one_device():
            return jax.tree.map(lambda x: x[None], tree)
        leaves, structure = jax.tree.flatten(tree)
        words = jnp.stack([jax.lax.bitcast_convert_type(x, jnp.int32) for x in leaves])
        columns = jax.lax.all_gather(words, self.name, axis=1)
        gathered = map(jax.lax.bitcast_convert_type, columns, [x.dtype for x in leaves])
        return jax.tree.unflatten(structure, gathered)

    def is_one_device(self) -> bool:
        """Return whether all lanes are here."""
        return self.name is None or jax.lax.axis_size(self.name) == 1

    def keys(self, key: Array, num_lanes: int) -> Array:
        """Return a key for each of the `num_lanes` lanes that are here, [num_lanes].

        A lane's key depends on `key` and the lane's number among all lanes, not on the sharding.
        """
        numbers = self.first_lane(num_lanes) + jnp.arange(num_lanes)
        return jax.vmap(jax.random.fold_in, (None, 0))(key, numbers)

    def first_lane(self, num_lanes: int) -> Array | int:
        """Return the number among all lanes of the first of the `num_lanes` that are here."""
        return 0 if self.name is None else jax.lax.axis_index(self.name) * num_lanes


ONE_DEVICE = LaneAxis()


class Tuning(NamedTuple):
    """The shape of the program for a kind of device; results differ by the order of sums only.

    Attributes:
        block_steps: time steps of a rollout between two checks for living lanes.
        lane_width: most lanes that a rollout plays at once; further ones are played afterwards.
        block_rows: most rows (steps of one lane) per block of the backward pass.
        unroll_block: write out the time steps of a block instead of looping over them.
        unroll_returns: time steps in one round of the return recursion's loop.
        packed: keep lanes in columns and record a step as one row of words.
        sums: write a small network's products as sums, which fuse with what is around them.
        skip_resets: in a stream, compute resets only at steps that finish an episode.
    """

    block_steps: int
    lane_width: int
    block_rows: int
    unroll_block: bool
    unroll_returns: int
    packed: bool
    sums: bool
    skip_resets: bool


# On a CPU a step's arrays should stay in a core's cache. On a GPU every operation is a launch, and
# what does not fuse goes through memory. See benchmarks/README.md for what was measured on a CPU
# and counted in programs compiled for a GPU; nothing was measured on an accelerator.
TUNINGS = {
    "cpu": Tuning(
        block_steps=10,
        lane_width=1024,
        block_rows=1024,
        unroll_block=False,
        unroll_returns=1,
        packed=False,
        sums=False,
        skip_resets=True,
    ),
    "gpu": Tuning(
        block_steps=20,
        lane_width=2**20,
        block_rows=2**22,
        unroll_block=True,
        unroll_returns=32,
        packed=True,
        sums=True,
        skip_resets=False,
    ),
    "tpu": Tuning(
        block_steps=32,
        lane_width=2**20,
        block_rows=2**18,
        unroll_block=False,
        unroll_returns=1,
        packed=False,
        sums=False,
        skip_resets=True,
    ),
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


Carry = TypeVar("Carry")


@custom_vmap
def any_lane(mask: Array) -> Array:
    """Return whether any element of `mask` is set, a scalar even under `jax.vmap`."""
    return jnp.any(mask)


@any_lane.def_vmap
def _any_lane_mapped(_axis_size: int, _in_batched: list[bool], mask: Array) -> tuple[Array, bool]:
    return any_lane(mask), False


@custom_vmap
def largest(x: Array) -> Array:
    """Return the largest element of `x`, a scalar even under `jax.vmap`."""
    return jnp.max(x)


@largest.def_vmap
def _largest_mapped(_axis_size: int, _in_batched: list[bool], x: Array) -> tuple[Array, bool]:
    return largest(x), False


def split_rows(tree: Any, block_rows: int) -> Any:
    """Reshape the leaves of `tree` from [T, N, ...] to [blocks, rows, ...].

    Blocks are equally long, with at most `block_rows` rows, and cut without regard to time steps.
    The last one is padded with zeros (False).
    """

    def split(x: Array) -> Array:
        x = x.reshape(-1, *x.shape[2:])
        rows = equal_parts(x.shape[0], block_rows)
        padding = -x.shape[0] % rows
        if padding:
            x = jnp.pad(x, [(0, padding)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(-1, rows, *x.shape[1:])

    return jax.tree.map(split, tree)


def equal_parts(total: int, longest: int) -> int:
    """Return the length of the fewest equal parts, none above `longest`, that cover `total`."""
    return -(-total // -(-total // longest))


def live_blocks(valid: Array) -> Array:
    """Return how many blocks of valid [blocks, rows] hold a valid row or come before one."""
    alive = jnp.any(valid, axis=1)
    return largest(jnp.where(alive, jnp.arange(1, alive.shape[0] + 1), 0))


def fold_blocks(
    body: Callable[[Carry, Any], Carry], carry: Carry, blocks: Any, num_blocks: Array
) -> Carry:
    """Fold `body(carry, block)` over the first `num_blocks` blocks of `blocks`."""
    return jax.lax.fori_loop(
        0, num_blocks, lambda i, c: body(c, jax.tree.map(lambda x: x[i], blocks)), carry
    )


def map_blocks(f: Callable[[Any], Array], blocks: Any, num_blocks: Array) -> Array:
    """Return `f(block)` stacked over the blocks; zeros beyond the first `num_blocks`."""
    total = jax.tree.leaves(blocks)[0].shape[0]
    block = jax.tree.map(lambda x: x[0], blocks)
    shape = jax.eval_shape(f, block)
    results = jnp.zeros((total, *shape.shape), shape.dtype)
    return jax.lax.fori_loop(
        0,
        num_blocks,
        lambda i, results: results.at[i].set(f(jax.tree.map(lambda x: x[i], blocks))),
        results,
    )
