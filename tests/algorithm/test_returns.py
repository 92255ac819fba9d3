"""Returns and advantages against a slow NumPy reference, and against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purejaxrl_reinforce.algorithm.returns import (
    batch_statistics,
    lambda_returns,
    leave_one_out_baseline,
    mean_baseline,
)
from purejaxrl_reinforce.algorithm.returns import normalize as normalize_with
from tests.support import reference

T, N = 9, 3


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**31), gamma=st.floats(0, 1, width=32), bootstrap=st.booleans())
def test_returns_match_the_reference(seed, gamma, bootstrap):
    random = np.random.default_rng(seed)
    rewards, next_values = random.uniform(-10, 10, (2, T, N))
    terminated, truncated = random.random((2, T, N)) < random.random((2, 1, 1))
    valid = np.arange(T)[:, None] < random.integers(0, T + 1, N)
    next_values = next_values if bootstrap else None
    expected = reference.returns(rewards, terminated, truncated, valid, gamma, next_values)
    next_valid = np.vstack([valid[1:], np.zeros((1, N), bool)])
    ours = lambda_returns(
        rewards=jnp.float32(np.where(valid, rewards, 0)),
        discounts=jnp.float32(gamma * (1 - terminated)),
        lambdas=jnp.float32(next_valid & ~truncated),
        next_values=jnp.float32(np.zeros((T, N)) if next_values is None else next_values),
    )
    np.testing.assert_allclose(np.where(valid, ours, 0), expected, rtol=1e-4, atol=1e-3)


RETURNS = jnp.array([[1.0, 3.0, 8.0], [2.0, 4.0, 50.0], [7.0, 50.0, 50.0], [50.0, 50.0, 50.0]])
VALID = jnp.array([[1, 1, 1], [1, 1, 0], [1, 0, 0], [0, 0, 0]], bool)


def test_mean_baseline_is_the_mean_of_the_valid_lanes():
    ours = mean_baseline(RETURNS, VALID)
    np.testing.assert_allclose(ours, [[4.0] * 3, [3.0] * 3, [7.0] * 3, [0.0] * 3])


def test_leave_one_out_leaves_the_own_lane_out():
    ours = np.where(VALID, leave_one_out_baseline(RETURNS, VALID), 0)
    np.testing.assert_allclose(ours, [[5.5, 4.5, 2], [4, 2, 0], [0, 0, 0], [0, 0, 0]])


def normalized(returns, values, valid, kind):
    advantages = jnp.where(valid, returns - values, 0.0)
    statistics = batch_statistics(advantages, returns, valid, kind)
    return normalize_with(advantages, valid, kind, statistics), statistics


def explained_variance(returns, values, valid):
    return normalized(returns, values, valid, "none")[1].explained_variance


def test_explained_variance():
    valid = jnp.array([[True], [True], [True], [False]])
    returns = jnp.array([[1.0], [2.0], [3.0], [99.0]])
    assert explained_variance(returns, returns + 5.0, valid) == 1
    assert explained_variance(returns, jnp.zeros_like(returns), valid) == 0
    np.testing.assert_allclose(explained_variance(returns, 2 * returns, valid), 0, atol=1e-6)
    assert explained_variance(returns, -returns, valid) < 0
    assert explained_variance(jnp.ones_like(returns), returns, valid) == 0


NORMS = ["standardize", "unit", "none"]
ADVANTAGES_SHAPE = (5, 4)


def normalize(advantages, valid, kind):
    return normalized(advantages, jnp.zeros_like(advantages), valid, kind)[0]


@pytest.mark.parametrize("kind", NORMS)
@settings(deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**31), offset=st.floats(-1e3, 1e3))
def test_normalize_matches_the_reference(kind, seed, offset):
    random = np.random.default_rng(seed)
    advantages = np.float32(random.normal(size=ADVANTAGES_SHAPE) + offset)
    valid = random.random(ADVANTAGES_SHAPE) < 0.7
    valid[0, 0] = True
    advantages[~valid] = 1e6
    expected = reference.normalize(advantages.astype(np.float64), valid, kind)
    ours = normalize(jnp.asarray(advantages), jnp.asarray(valid), kind)
    if valid.sum() > 1:
        np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kind", ["standardize", "unit"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e6])
def test_a_constant_batch_normalizes_to_zeros(kind, value):
    # Large enough for a float32 mean to differ from its summands.
    advantages = jnp.full((1000, 101), value, jnp.float32)
    valid = jnp.ones(advantages.shape, bool).at[500:, 3].set(False)
    np.testing.assert_array_equal(jax.jit(normalize, static_argnums=2)(advantages, valid, kind), 0)


@pytest.mark.parametrize("kind", NORMS)
def test_a_batch_without_valid_steps_normalizes_to_zeros(kind):
    advantages = jnp.full(ADVANTAGES_SHAPE, jnp.nan)
    np.testing.assert_array_equal(normalize(advantages, jnp.zeros(ADVANTAGES_SHAPE, bool), kind), 0)
