"""Blocks of time: lengths, padding, and loops that stop early without losing a valid step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purejaxrl_reinforce.blocks import (
    BLOCK_ROWS,
    any_lane,
    block_length,
    fold_blocks,
    live_blocks,
    map_blocks,
    split_blocks,
)


@settings(max_examples=500)
@given(T=st.integers(1, 3000), N=st.integers(1, 5000), size=st.none() | st.integers(1, 4000))
def test_block_lengths_fit_and_stay(T, N, size):
    length = block_length((T, N), size)
    assert 1 <= length <= T
    assert length <= (size or max(1, BLOCK_ROWS // N))
    padded = -(-T // length) * length
    assert padded - T < length
    assert block_length((padded, N), size) == length


def test_split_pads_with_invalid_steps():
    blocks = split_blocks({"x": jnp.arange(1, 11.0).reshape(5, 2), "v": jnp.ones((5, 2), bool)}, 3)
    np.testing.assert_array_equal(blocks["x"][1], [[7, 8], [9, 10], [0, 0]])
    np.testing.assert_array_equal(blocks["v"][1], [[1, 1], [1, 1], [0, 0]])


@pytest.mark.parametrize(("last_valid", "expected"), [(None, 0), (0, 1), (2, 1), (3, 2), (8, 3)])
def test_live_blocks_reach_to_the_last_valid_step(last_valid, expected):
    valid = np.zeros((9, 2), bool)
    if last_valid is not None:
        valid[last_valid, 1] = True
    assert live_blocks(split_blocks(jnp.asarray(valid), 3)) == expected


def test_loops_visit_the_live_blocks_only():
    blocks = jnp.arange(12.0).reshape(4, 3, 1)
    assert fold_blocks(lambda total, b: total + b.sum(), jnp.float32(0), blocks, 2) == 15
    mapped = map_blocks(lambda b: 2 * b, blocks, jnp.int32(2))
    np.testing.assert_array_equal(mapped[:2], 2 * blocks[:2])
    np.testing.assert_array_equal(mapped[2:], 0)


def test_reductions_stay_scalar_under_nested_vmap():
    masks = jnp.zeros((3, 4, 5), bool).at[1, 2, 3].set(True)
    out = jax.vmap(jax.vmap(any_lane, out_axes=None), out_axes=None)(masks)
    assert out.shape == ()
    assert out
