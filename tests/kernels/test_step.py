"""Whole updates by the kernels, in interpret mode, against XLA's."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, init, step

CONFIG = Config(
    num_envs=5, num_steps=12, hidden_sizes=(5,), bootstrap=True, num_updates=9,
    anneal=True, keras_adam=True, max_grad_norm=0.05, entropy_coef=0.1,
    advantage_norm="standardize", policy_lr=1e-3, baseline_lr=1e-3,
)  # fmt: skip


def after(config, state):
    return step(replace(config, engine="xla"), state), step(
        replace(config, engine="interpret"), state
    )


@pytest.fixture(scope="module")
def state():
    return init(CONFIG, jax.random.key(0))._replace(update=jnp.int32(3))


@pytest.mark.parametrize("baseline_steps", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_update(state, baseline_steps):
    """Limits of norms and annealing included."""
    config = replace(CONFIG, baseline_steps=baseline_steps)
    (xla, xla_metrics), (kernels, metrics) = after(config, state)
    trees = [(x.params, x.opt_state, x.update, x.env_steps) for x in (kernels, xla)]
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-4, strict=True)
    jax.tree.map(functools.partial(assert_close, atol=1e-6), *trees)
    jax.tree.map(functools.partial(assert_close, atol=1e-5), metrics, xla_metrics)
    assert metrics.policy_grad_norm > CONFIG.max_grad_norm
    moved = jax.tree.map(lambda x, y: np.abs(x - y).max(), kernels.params, state.params)
    assert min(jax.tree.leaves(moved)) > 1e-5


def test_agents_are_an_axis_of_the_same_kernels():
    states = jax.vmap(init, (None, 0))(CONFIG, jax.random.split(jax.random.key(0), 2))
    (xla, _), (kernels, _) = jax.vmap(after, (None, 0))(CONFIG, states)
    assert_close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
    jax.tree.map(assert_close, kernels.params, xla.params)


def test_an_update_that_is_not_finite_is_not_applied(state):
    spoilt = jax.tree.map(jnp.copy, state)
    spoilt.params.baseline["params"]["mlp"]["out"]["kernel"] *= jnp.nan
    for new, metrics in after(CONFIG, spoilt):
        assert not metrics.finite
        jax.tree.map(np.testing.assert_array_equal, new.params, spoilt.params)
        assert new.update == 3
