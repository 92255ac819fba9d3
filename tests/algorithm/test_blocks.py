"""Blocks of rows: lengths, padding, and loops that stop early without losing a valid step."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purejaxrl_reinforce.algorithm.blocks import (
    any_lane,
    equal_parts,
    fold_blocks,
    live_blocks,
    num_groups,
    split_rows,
)


@settings(max_examples=500)
@given(total=st.integers(1, 10**9), longest=st.integers(1, 10**6))
def test_equal_parts_are_the_fewest_that_cover(total, longest):
    length = equal_parts(total, longest)
    assert 1 <= length <= longest
    assert -(-total // length) == -(-total // longest)
    assert -(-total // length) * length - total < -(-total // longest)


@settings(max_examples=500)
@given(lanes=st.integers(1, 10**6), width=st.integers(1, 10**6))
def test_groups_of_lanes_are_equal_and_as_narrow_as_powers_of_two_allow(lanes, width):
    groups = num_groups(lanes, width)
    assert lanes % groups == 0
    assert lanes // groups <= width or (lanes // groups) % 2
    assert groups == 1 or 2 * (lanes // groups) > width


def test_split_pads_with_invalid_rows():
    blocks = split_rows({"x": jnp.arange(1, 11.0).reshape(5, 2), "v": jnp.ones((5, 2), bool)}, 4)
    np.testing.assert_array_equal(blocks["x"], [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 0, 0]])
    np.testing.assert_array_equal(blocks["v"][2], [1, 1, 0, 0])


@pytest.mark.parametrize(("last_valid", "expected"), [(None, 0), (0, 1), (2, 1), (3, 2), (8, 3)])
def test_live_blocks_reach_to_the_last_valid_step(last_valid, expected):
    valid = np.zeros((9, 2), bool)
    if last_valid is not None:
        valid[last_valid, 1] = True
    assert live_blocks(split_rows(jnp.asarray(valid), 6)) == expected


def test_loops_visit_the_live_blocks_only():
    blocks = jnp.arange(12.0).reshape(4, 3, 1)
    assert fold_blocks(lambda total, b, i: total + i * b.sum(), jnp.float32(0), blocks, 2) == 12


def test_reductions_stay_scalar_under_nested_vmap():
    masks = jnp.zeros((3, 4, 5), bool).at[1, 2, 3].set(True)
    out = jax.vmap(jax.vmap(any_lane, out_axes=None), out_axes=None)(masks)
    assert out.shape == ()
    assert out
