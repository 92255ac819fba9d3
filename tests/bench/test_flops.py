"""Counted operations against XLA's own count, where that has no loop to miscount."""

import jax
import jax.numpy as jnp
import pytest
from roofline import backward_flops, forward_flops

from purejaxrl_reinforce.algorithm.networks.mlp import MLP

ROWS = 512
SHAPES = [(40, 64, 1), (6, 64, 64, 3), (3, 5)]


def counted(function, *args):
    analysis = jax.jit(function).lower(*args).cost_analysis()
    return analysis["flops"] + analysis.get("transcendentals", 0.0)


def network(sizes):
    mlp = MLP(tuple(sizes[1:-1]), "relu", sizes[-1])
    obs = jnp.ones((ROWS, sizes[0]))
    return mlp, mlp.init(jax.random.key(0), obs), obs


@pytest.mark.parametrize("sizes", SHAPES, ids=str)
def test_forward_and_backward(sizes):
    mlp, params, obs = network(sizes)
    assert counted(mlp.apply, params, obs) == pytest.approx(ROWS * forward_flops(sizes), rel=0.01)

    def loss(params):
        return jnp.sum(mlp.apply(params, obs) ** 2)

    expected = ROWS * (forward_flops(sizes) + backward_flops(sizes, "relu"))
    expected += ROWS * sizes[-1]  # the square's derivative
    assert counted(jax.grad(loss), params) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("sizes", [(4, 64, 2), (4, 64, 1), (6, 33, 3)], ids=str)
def test_backward_of_one_hidden_layer_of_relus(sizes):
    mlp, params, obs = network(sizes)
    _, pull = jax.vjp(lambda params: mlp.apply(params, obs), params)
    found = counted(pull, jnp.ones((ROWS, sizes[-1])))
    assert found == pytest.approx(ROWS * backward_flops(sizes, "relu"), rel=0.1)
