"""The one-product gradient of a ReLU layer is the plain one, values and derivatives alike."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.algorithm.environment import make
from purejaxrl_reinforce.algorithm.networks import (
    MOST_PRODUCTS,
    ReluMLPParams,
    make_networks,
    relu_mlp,
)


def plain(layers, x):
    hidden = jax.nn.relu(x @ layers.hidden_kernel + layers.hidden_bias[None])
    return hidden @ layers.out_kernel + layers.out_bias[None]


def random_layers(num_inputs, width, num_outputs):
    random = np.random.default_rng(0)
    shapes = ReluMLPParams((num_inputs, width), (width,), (width, num_outputs), (num_outputs,))
    return ReluMLPParams(*(jnp.float32(random.normal(size=shape)) for shape in shapes))


# Products as such, and written as sums.
WAYS = [functools.partial(relu_mlp, "float32", sums) for sums in (False, True)]


@pytest.mark.parametrize("relu_mlp", WAYS, ids=["products", "sums"])
@pytest.mark.parametrize(
    ("num_inputs", "width", "num_outputs"), [(4, 64, 1), (4, 64, 2), (1, 1, 1), (6, 33, 3)]
)
def test_against_the_plain_program(num_inputs, width, num_outputs, relu_mlp):
    layers, random = random_layers(num_inputs, width, num_outputs), np.random.default_rng(1)
    x, weights = (jnp.float32(random.normal(size=(500, n))) for n in (num_inputs, num_outputs))
    np.testing.assert_allclose(relu_mlp(layers, x), plain(layers, x), rtol=1e-5, atol=1e-5)
    ours, theirs = (
        jax.grad(lambda layers, x, f=f: jnp.sum(weights * f(layers, x) ** 2), argnums=(0, 1))(
            layers, x
        )
        for f in (relu_mlp, plain)
    )
    for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)


@pytest.mark.parametrize("relu_mlp", WAYS, ids=["products", "sums"])
def test_units_at_zero_are_off_as_in_the_plain_program(relu_mlp):
    layers = random_layers(2, 8, 1)._replace(hidden_bias=jnp.zeros(8))
    x = jnp.zeros((3, 2))
    ours, theirs = (jax.grad(lambda w, f=f: f(w, x).sum())(layers) for f in (relu_mlp, plain))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.mark.parametrize("env", ["CartPole-v1", "Acrobot-v1", "Pendulum-v1", "FrozenLake-misc"])
@pytest.mark.parametrize("hidden_sizes", [(16,), (16, 16), ()])
def test_networks_are_the_layers_that_their_parameters_say(env, hidden_sizes):
    """With few products or many, one hidden layer or not: the same function of the parameters."""
    config = Config(env=env, hidden_sizes=hidden_sizes)
    environment = make(env)
    networks = make_networks(config)
    obs, _ = environment.reset(jax.random.split(jax.random.key(0), 5))
    params = networks.policy.init(jax.random.key(1), obs)
    params = jax.tree.map(lambda p: p + 0.1, params)
    x = jax.nn.one_hot(obs, environment.num_obs) if environment.num_obs else obs
    for i in range(len(hidden_sizes)):
        layer = params["params"]["mlp"][f"hidden_{i}"]
        x = jax.nn.relu(x @ layer["kernel"] + layer["bias"][None])
    out = params["params"]["mlp"]["out"]
    expected = x @ out["kernel"] + out["bias"][None]
    distribution = networks.distribution(params, obs)
    if environment.num_actions is None:
        np.testing.assert_allclose(distribution.mean, expected, rtol=1e-5, atol=1e-5)
    else:
        ours, theirs = jax.nn.log_softmax(distribution.logits), jax.nn.log_softmax(expected)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_the_preset_takes_the_short_way():
    assert MOST_PRODUCTS >= 2 * (4 + 1)
