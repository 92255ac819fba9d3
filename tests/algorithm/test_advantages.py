"""Normalized advantages: statistics over valid steps, zeros for constant batches, never NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purejaxrl_reinforce.algorithm.returns import normalize
from tests.support import reference

KINDS = ["standardize", "unit", "none"]
SHAPE = (5, 4)


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**31), offset=st.floats(-1e3, 1e3))
def test_matches_the_reference(kind, seed, offset):
    random = np.random.default_rng(seed)
    advantages = np.float32(random.normal(size=SHAPE) + offset)
    valid = random.random(SHAPE) < 0.7
    valid[0, 0] = True
    advantages[~valid] = 1e6
    expected = reference.normalize(advantages.astype(np.float64), valid, kind)
    ours = normalize(jnp.asarray(advantages), jnp.asarray(valid), kind)
    if valid.sum() > 1:
        np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kind", ["standardize", "unit"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e6])
def test_a_constant_batch_gives_zeros(kind, value):
    # Large enough for a float32 mean to differ from its summands.
    advantages = jnp.full((1000, 101), value, jnp.float32)
    valid = jnp.ones(advantages.shape, bool).at[500:, 3].set(False)
    np.testing.assert_array_equal(jax.jit(normalize, static_argnums=2)(advantages, valid, kind), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_valid_steps_gives_zeros(kind):
    advantages = jnp.full(SHAPE, jnp.nan)
    np.testing.assert_array_equal(normalize(advantages, jnp.zeros(SHAPE, bool), kind), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_in_invalid_steps_does_not_matter(kind):
    valid = jnp.arange(20).reshape(SHAPE) % 3 > 0
    advantages = jnp.sin(jnp.arange(20.0)).reshape(SHAPE)
    garbage = jnp.where(valid, advantages, jnp.nan)
    np.testing.assert_array_equal(
        normalize(advantages, valid, kind), normalize(garbage, valid, kind)
    )
