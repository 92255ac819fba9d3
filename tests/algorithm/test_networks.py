"""Networks: the fused one is the plain one; the others are what the configuration says.

That they are the layers that their parameters say is what tests of exports prove, in NumPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import Config, init, step
from purejaxrl_reinforce.algorithm.networks.mlp import ReluMLPParams, relu_mlp
from purejaxrl_reinforce.environments.environment import make
from tests.support.learning import networks_of


def plain(layers, x):
    hidden = jax.nn.relu(x @ layers.hidden_kernel + layers.hidden_bias[None])
    return hidden @ layers.out_kernel + layers.out_bias[None]


def random_layers(num_inputs, width, num_outputs):
    random = np.random.default_rng(0)
    shapes = ReluMLPParams((num_inputs, width), (width,), (width, num_outputs), (num_outputs,))
    return ReluMLPParams(*(jnp.float32(random.normal(size=shape)) for shape in shapes))


fused = functools.partial(relu_mlp, "float32")


@pytest.mark.parametrize(
    ("num_inputs", "width", "num_outputs"), [(4, 64, 1), (4, 64, 2), (1, 1, 1), (6, 33, 3)]
)
def test_against_the_plain_program(num_inputs, width, num_outputs):
    layers, random = random_layers(num_inputs, width, num_outputs), np.random.default_rng(1)
    x, weights = (jnp.float32(random.normal(size=(500, n))) for n in (num_inputs, num_outputs))
    np.testing.assert_allclose(fused(layers, x), plain(layers, x), rtol=1e-5, atol=1e-5)
    losses = (lambda *x, f=f: jnp.sum(weights * f(*x) ** 2) for f in (fused, plain))
    ours, theirs = (jax.tree.leaves(jax.grad(f, argnums=(0, 1))(layers, x)) for f in losses)
    for a, b in zip(ours, theirs, strict=True):
        assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(b)


def initialized(config):
    """The networks of a configuration, the policy's parameters and five observations."""
    env = make(config.env)
    networks = networks_of(config)
    obs, _ = env.reset(jax.random.split(jax.random.key(0), 5))
    return networks, networks.init(jax.random.key(1), jax.random.key(2), obs), obs


@pytest.mark.parametrize(
    ("env", "network", "name"),
    [
        ("CartPole-v1", "auto", "mlp"),
        ("Breakout-MinAtar", "auto", "cnn"),
        ("Breakout-MinAtar", "mlp", "mlp"),
        ("Catch-bsuite", "auto", "mlp"),
        ("Catch-bsuite", "cnn", "cnn"),
        ("FrozenLake-misc", "tests.support.networks:Tanh", "own"),
    ],
)
def test_the_chosen_network(env, network, name):
    networks, params, obs = initialized(Config(env=env, network=network, hidden_sizes=(8,)))
    assert set(params.policy["params"]) == {name}
    assert networks.distribution(params, obs).logits.dtype == jnp.float32
    assert networks.distribution(params, obs).logits.shape == (5, make(env).num_actions)


def test_orthogonal_initialization_has_its_gains():
    config = Config(env="Pendulum-v1", hidden_sizes=(8, 6), orthogonal=True)
    _, (policy, baseline, _), _ = initialized(config)
    for params, gain in ((policy, 0.01), (baseline, 1.0)):
        layers = params["params"]["mlp"]
        for name, expected in (("hidden_0", 2**0.5), ("hidden_1", 2**0.5), ("out", gain)):
            singular = np.linalg.svd(layers[name]["kernel"], compute_uv=False)
            np.testing.assert_allclose(singular, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "cnn"}, "needs observations of 2 or 3 dimensions of at least 3 x 3"),
        ({"network": "cnn", "env": "SimpleBandit-bsuite"}, "SimpleBandit-bsuite has observations"),
        ({"network": "nowhere:Net"}, "cannot be imported: ModuleNotFoundError"),
        ({"network": "tests.support.networks:Missing"}, "has no 'Missing'; did you mean 'Failing'"),
        ({"network": "json:dumps"}, "fails with num_outputs=2 .*: TypeError"),
        ({"network": "builtins:dict"}, "it is not a flax module"),
        ({"network": "tests.support.networks:NoOutputs"}, "fails with num_outputs=2 on"),
        ({"network": "tests.support.networks:Failing"}, r"of shape \(2, 4\): KeyError: 'pixels'"),
        ({"network": "tests.support.networks:OneTooMany"}, r"of shape \(2, 2\), not .*2, 3"),
        ({"network": "tests.support.networks:Integers"}, r"not int32 of shape \(2, 2\)"),
        ({"network": "tests.support.networks:Statistics"}, "parameters only, not .'batch_stats'"),
        (
            {"network": "tests.support.networks:Dropout"},
            "fails with .*: InvalidRngError: ",
        ),
        ({"action": "squash"}, "action is for continuous actions; those of CartPole-v1"),
        ({"log_std": "state"}, "log_std is for continuous actions"),
        ({"normalize_obs": True, "env": "FrozenLake-misc"}, "needs real numbers; FrozenLake-misc"),
        ({"action": "squash", "env": "Unbounded-probe"}, "needs bounded actions; Unbounded"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(changes, message):
    with pytest.raises(ValueError, match=message) as error:
        networks_of(Config(**changes))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("log_std", ["free", "fixed", "state"])
def test_the_standard_deviation_starts_as_told_and_learns_as_told(log_std):
    config = Config(env="Pendulum-v1", log_std=log_std, initial_std=0.5, hidden_sizes=(8,))
    networks, params, obs = initialized(config.replace(orthogonal=True))

    def log_prob(params, obs):
        return networks.distribution(params, obs).log_prob(jnp.zeros((5, 1))).sum()

    std = jnp.exp(networks.distribution(params, obs).log_std)
    np.testing.assert_allclose(std, 0.5, rtol=0.05 if log_std == "state" else 1e-6)
    gradient = jax.grad(log_prob)(params, obs).policy["params"]
    assert (gradient["log_std"] != 0).all() == (log_std == "free")
    assert std.shape == ((5, 1) if log_std == "state" else (1,))
    assert gradient["mlp"]["out"]["bias"].all()


@pytest.mark.parametrize("hidden_sizes", [(64,), (64, 64)])
@pytest.mark.parametrize(
    ("precision", "as_lowered"), [("float32", "HIGHEST"), ("tensorfloat32", "HIGH")]
)
def test_products_are_in_the_precision_that_was_asked_for(hidden_sizes, precision, as_lowered):
    config = Config(hidden_sizes=hidden_sizes, precision=precision, num_envs=2, num_steps=4)
    program = jax.jit(step).lower(config, init(config, jax.random.key(0))).as_text()
    products = [line for line in program.splitlines() if "stablehlo.dot_general" in line]
    assert products
    assert all(f"precision = [{as_lowered}, {as_lowered}]" in line for line in products)
