"""Functions evaluated on vectors of lanes give the bits that `jax.vmap` gives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce.kernels.lane_vectors import UnsupportedError, broadcast, known, trace

NUM_LANES = 8


def to_elements(x):
    """Return the elements of an array [lanes, 1, ...] or [lanes, ...], vectors of lanes."""
    return list(x.reshape(len(x), -1).T)


def on_vectors(function, *args):
    """Evaluate a function of one lane (leading axis 1) on arrays [lanes, ...]."""
    traced = trace(function, *jax.tree.map(lambda x: x[:1], args))
    consts = [known(x) for x in traced.consts]

    def evaluated(*args):
        results = traced(consts, *jax.tree.map(to_elements, args))
        return jax.tree.map(lambda x: broadcast(x, (NUM_LANES,)), results)

    return jax.tree.leaves(jax.jit(evaluated)(*args))


def assert_same_bits(function, *args):
    expected = jax.tree.leaves(jax.tree.map(to_elements, jax.jit(function)(*args)))
    for a, b in zip(on_vectors(function, *args), expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def lanes_of(function):
    return lambda *args: jax.vmap(function)(*args)


# Words and not keys: tests use them more than once.
WORDS = jax.random.key_data(jax.random.split(jax.random.key(0), NUM_LANES))
X = jax.random.normal(jax.random.key(1), (NUM_LANES, 3, 4))
I = jnp.arange(NUM_LANES) - 2  # noqa: E741  some out of bounds on either side


@pytest.mark.parametrize(
    "draw",
    [
        jax.random.normal,
        lambda key: jax.random.uniform(key, (3,), minval=-2.0),
        lambda key: jax.random.randint(key, (2,), 3, 17),
        lambda key: jax.random.bernoulli(jax.random.split(key, 3)[2], 0.3),
        lambda key: jax.random.choice(key, jnp.array([3, 1, 4, 1, 5])),
    ],
    ids=["normal", "uniform", "randint", "split", "choice"],
)
def test_random_numbers_are_those_of_jax(draw):
    assert_same_bits(lanes_of(lambda words: draw(jax.random.wrap_key_data(words))), WORDS)


@pytest.mark.parametrize(
    "function",
    [
        lambda x, i: jnp.array([1.0, 2.0, 4.0])[i],
        lambda x, i: x.at[i, 1].set(7.0),
        lambda x, i: x.at[i].get(mode="fill", fill_value=9.0),
        lambda x, i: jax.lax.dynamic_slice(x, (i, 1), (2, 2)),
        lambda x, i: (x.sum(), x.max(axis=0), x.min(axis=1), (x > 0).all(), (x > 1).any(axis=0)),
        lambda x, i: jnp.concatenate([x.T.reshape(2, 6)[:, ::2], jnp.pad(x, 1)[:2, :3]], axis=1),
        lambda x, i: jnp.where(
            i > 2, jnp.clip(x * x[:1], -0.5, 0.5), jnp.stack([x[2], x[0], x[1]])
        ),
    ],
    ids=["gather", "scatter", "fill", "dynamic_slice", "reductions", "moves", "select"],
)
def test_operations_on_arrays(function):
    assert_same_bits(lanes_of(function), X, I)


def test_a_choice_between_branches_is_made_lane_by_lane():
    def function(x, i):
        return jax.lax.cond(i[0] > 2, lambda: 2 * x, lambda: x)

    doubled = np.asarray(I > 2)
    (result,) = on_vectors(function, X[:, 0, 0], I)
    np.testing.assert_array_equal(result, np.where(doubled, 2, 1) * X[:, 0, 0])


def test_an_operation_without_a_rule_is_named_unless_no_result_needs_it():
    def function(x):
        jnp.sort(x, axis=1)
        return x + 1

    assert_same_bits(function, X[:, 0])
    with pytest.raises(UnsupportedError, match="the operation 'sort'"):
        on_vectors(lambda x: jnp.sort(x, axis=1), X[:, 0])
