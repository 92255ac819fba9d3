"""The optimizer: both placements of Adam's epsilon, clipping by the true global norm, annealing."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from purejaxrl_reinforce import Config, init, step
from purejaxrl_reinforce.algorithm.optimizer import make_optimizer
from tests.support.configs import TEXTBOOK


def adam(gradients, learning_rate, epsilon, keras):
    """Adam's path from 0 along scalar gradients, from Kingma and Ba (2015) and Keras' order."""
    m = v = x = 0.0
    for t, g in enumerate(gradients, start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        if keras:
            rate = learning_rate * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
            x -= rate * m / (np.sqrt(v) + epsilon)
        else:
            x -= learning_rate * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + epsilon)
    return x


def optimizer_step(config, learning_rate, params, opt_state, gradient):
    count = optax.tree.get(opt_state, "count")
    optimizer = make_optimizer(config, learning_rate, count)
    updates, opt_state = optimizer.update(gradient, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


@pytest.mark.parametrize("keras", [False, True])
def test_adam_against_its_equations(keras):
    # Gradients as small as epsilon, where its place matters.
    gradients = np.array([1e-7, -3e-7, 2e-7, 5e-7, 1e-7])
    config = Config(keras_adam=keras, adam_epsilon=1e-7)
    params = {"x": jnp.zeros(())}
    opt_state = make_optimizer(config, 0.03).init(params)
    for gradient in gradients:
        params, opt_state = optimizer_step(
            config, 0.03, params, opt_state, {"x": jnp.float32(gradient)}
        )
    ours, other = adam(gradients, 0.03, 1e-7, keras), adam(gradients, 0.03, 1e-7, not keras)
    np.testing.assert_allclose(params["x"], ours, rtol=1e-3)
    assert abs(ours - other) > 0.1 * abs(ours)


@pytest.mark.parametrize(("limit", "scale"), [(1.0, 0.2), (6.0, 1.0), (float("inf"), 1.0)])
def test_clipping_keeps_the_direction_and_bounds_the_norm_over_all_leaves(limit, scale):
    gradient = {"a": jnp.array([3.0, 0.0]), "b": jnp.array([[4.0]])}  # norm 5
    config, params = Config(max_grad_norm=limit), jax.tree.map(jnp.zeros_like, gradient)
    opt_state = make_optimizer(config, 1.0).init(params)
    _, opt_state = optimizer_step(config, 1.0, params, opt_state, gradient)
    # Adam's first moment after one step is a tenth of the gradient that reached it.
    ours, theirs = opt_state[1].mu, jax.tree.map(lambda x: 0.1 * scale * x, gradient)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5), ours, theirs)


def test_annealing_ends_at_zero_and_each_network_has_its_own_rate():
    config = TEXTBOOK.replace(
        num_envs=2, num_steps=5, num_updates=4, policy_lr=1e-3, baseline_lr=1e-2
    )
    state = init(config, jax.random.key(0))

    def largest_change(config, state):
        after, _ = step(config, state)
        changes = jax.tree.map(lambda x, y: float(jnp.abs(x - y).max()), after.params, state.params)
        return [max(jax.tree.leaves(x)) for x in changes[:2]]

    # Adam's first step is as long as the learning rate.
    np.testing.assert_allclose(largest_change(config, state), [1e-3, 1e-2], rtol=0.01)
    half_way = state._replace(update=jnp.int32(2))
    np.testing.assert_allclose(largest_change(config, half_way), [5e-4, 5e-3], rtol=0.01)
    at_the_end, later = (state._replace(update=jnp.int32(n)) for n in (4, 6))
    np.testing.assert_array_equal(largest_change(config, at_the_end), [0, 0])
    np.testing.assert_array_equal(largest_change(config, later), [0, 0])
    constant = replace(config, anneal=False)
    np.testing.assert_allclose(largest_change(constant, at_the_end), [1e-3, 1e-2], rtol=0.01)
