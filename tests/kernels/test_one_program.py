"""One program for small arrays, in interpret mode, computes what XLA's program computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce.algorithm.batching import ONE_DEVICE
from purejaxrl_reinforce.algorithm.kernels.one_program import (
    MOST_CHUNKS,
    MOST_NUMBERS,
    in_one_program,
    summaries,
)
from purejaxrl_reinforce.algorithm.returns import Moments, merged


def mixed(trees, scale):
    """Return arrays of several sizes and types, a scalar, and sums of whole arrays."""
    total = sum(jnp.sum(x * scale) for x in jax.tree.leaves(trees))
    chosen = jax.tree.map(lambda x: jnp.where(total > 3, x + 1, x), trees)
    return chosen, total, jnp.max(trees["b"]) > scale


TREES = {"a": jnp.arange(6.0).reshape(2, 3), "b": jnp.arange(5), "c": jnp.float32(0.5)}


@pytest.mark.parametrize("scale", [0.01, 1.0])
def test_trees_of_arrays_of_any_size(scale):
    scale = jnp.float32(scale)
    ours, theirs = (jax.jit(in_one_program, static_argnums=(0, 1))(e, mixed, TREES, scale)
                    for e in ("interpret", "xla"))  # fmt: skip
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, strict=True)
    assert ours[0]["a"][1, 2] == (6 if scale == 1 else 5)


def test_a_result_in_the_place_of_an_argument():
    def choose(old, new):
        return jax.tree.map(lambda x, y: jnp.where(jnp.sum(new["b"]) > 0, y, x), old, new), 1.0

    new = jax.tree.map(lambda x: -x, TREES)
    chosen, one = in_one_program("interpret", choose, new, TREES, in_place=True)
    jax.tree.map(np.testing.assert_array_equal, chosen, TREES)
    assert one == 1


def test_agents_are_programs_of_the_same_kernel():
    scales = jnp.array([0.01, 1.0])
    of_all, _, _ = jax.vmap(lambda x: in_one_program("interpret", mixed, TREES, x))(scales)
    np.testing.assert_array_equal(of_all["b"], [np.arange(5), np.arange(5) + 1])


def test_what_does_not_fit_is_computed_by_xla():
    """A kernel would not even compile on a CPU."""
    x = jnp.ones(MOST_NUMBERS + 1)
    assert in_one_program("kernel", jnp.sum, x) == MOST_NUMBERS + 1


@pytest.mark.parametrize("num_lanes", [3, 2 * MOST_CHUNKS + 5])
def test_summaries_of_chunks_merge_to_that_of_all(num_lanes):
    counts = jnp.arange(num_lanes) % 4  # some without steps
    x = jax.random.normal(jax.random.key(0), (num_lanes,)) - 5
    lanes = counts, Moments(x, jnp.zeros(num_lanes), x**2)

    def summarize(lanes):
        counts, moments = lanes
        return jnp.sum(counts), merged(moments, counts)

    chunks = summaries(summarize, lanes, ONE_DEVICE)
    assert chunks[0].shape == (min(num_lanes, -(-num_lanes // 3)) if num_lanes > 3 else 3,)
    (count, of_all), (expected_count, expected) = map(summarize, (chunks, lanes))
    assert count == expected_count
    np.testing.assert_allclose(of_all.squares, expected.squares, rtol=1e-5)
    mean, expected_mean = (m.origin + m.total / count for m in (of_all, expected))
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-6)
