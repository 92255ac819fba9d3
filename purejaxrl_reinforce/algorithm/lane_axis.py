"""Reductions over all lanes, whether they live on one device or are shared out over several."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array


class LaneAxis(NamedTuple):
    """The axis that lanes are shared out over.

    Attributes:
        name: of the mapped axis (`jax.shard_map`), or None where all lanes are here.
    """

    name: str | None = None

    def sum(self, tree: Any) -> Any:
        """Add up, over all shares, what was summed over the lanes of each."""
        return tree if self.name is None else jax.lax.psum(tree, self.name)

    def max(self, tree: Any) -> Any:
        """Return the largest over all shares, element by element."""
        return tree if self.name is None else jax.lax.pmax(tree, self.name)

    def min(self, tree: Any) -> Any:
        """Return the smallest over all shares, element by element."""
        return tree if self.name is None else jax.lax.pmin(tree, self.name)

    def keys(self, key: Array, num_lanes: int) -> Array:
        """Return a key for each of the `num_lanes` lanes that are here, [num_lanes].

        A lane's key depends on `key` and the lane's number among all lanes alone, not on how they
        are shared out.
        """
        first = 0 if self.name is None else jax.lax.axis_index(self.name) * num_lanes
        return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(num_lanes))


ONE_DEVICE = LaneAxis()
