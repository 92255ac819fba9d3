"""Counted operations and bytes against XLA's own count, where that has no loop to miscount."""

import jax
import jax.numpy as jnp
import pytest

from purejaxrl_reinforce import Config, init
from purejaxrl_reinforce.algorithm.networks.mlp import MLP
from purejaxrl_reinforce.algorithm.optimizer import apply_gradients
from purejaxrl_reinforce.algorithm.reinforce import collect, state_shapes
from purejaxrl_reinforce.bench.flops import backward_flops, forward_flops, layer_sizes, phase_costs
from tests.support.configs import TEXTBOOK

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


def test_the_optimizer_costs_at_least_what_is_said():
    config = Config(num_envs=2, hidden_sizes=(32, 32))
    state = state_shapes(config)
    found = counted(apply_gradients, config, state, state.params)
    assert 0.75 * found <= phase_costs(config)["optimizer"].flops <= found


def test_bytes_are_those_of_the_trajectory():
    config = Config(num_envs=4, num_steps=8, bootstrap=True)
    trajectory = jax.jit(collect)(config, init(config, jax.random.key(0)))[2]
    size = sum(x.nbytes for x in jax.tree.leaves(trajectory))
    assert phase_costs(config)["rollout"].bytes == size / trajectory.valid.size
    # obs, action, valid, advantages, returns, values
    assert phase_costs(config)["gradient"].bytes == 4 * 4 + 4 + 1 + 4 + 4 + 4


def test_layers_are_those_of_the_networks():
    assert layer_sizes(Config(), "policy") == (4, 64, 1)  # the last of two logits is 0
    assert layer_sizes(Config(hidden_sizes=(8, 16)), "baseline") == (4, 8, 16, 1)
    assert layer_sizes(Config(env="Pendulum-v1", hidden_sizes=()), "policy") == (3, 1)
    assert layer_sizes(TEXTBOOK.replace(baseline="none"), "baseline") == ()
    # Of a convolutional network, the dense layers; of one's own, none.
    assert layer_sizes(Config(env="Breakout-MinAtar"), "policy") == (1024, 64, 2)
    assert layer_sizes(Config(network="tests.support.networks:Tanh"), "policy") == ()
