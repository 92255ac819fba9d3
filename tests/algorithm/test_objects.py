"""Environments and networks as objects: their names, what runs record of them, what they train."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, evaluate, load_run, sweep, train, train_run
from purejaxrl_reinforce.algorithm import losses, rollout
from purejaxrl_reinforce.algorithm.reinforce import init
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.environments.environment import make
from tests.support import environments, networks
from tests.support.environments import PointMass, Wrapped, make_point_mass
from tests.support.networks import Both, Wide

ENVS, NETWORKS = environments.__name__, networks.__name__
key = functools.partial(jax.random.key, 0)
TINY = {"num_envs": 4, "num_updates": 2, "hidden_sizes": (4,)}


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (PointMass, f"{ENVS}:PointMass"),
        (PointMass(), f"{ENVS}:PointMass"),
        (PointMass(size=3), f"{ENVS}:PointMass(size=3)"),
        (PointMass(3, 0.25), f"{ENVS}:PointMass(size=3, speed=0.25)"),
        (functools.partial(PointMass, size=3), f"{ENVS}:PointMass(size=3)"),
        (make_point_mass, f"{ENVS}:make_point_mass"),
        (Wide(num_outputs=0, width=16), f"{NETWORKS}:Wide(width=16)"),
    ],
)
def test_an_object_has_the_name_that_makes_it(value, name):
    config = Config(env=value)
    assert config.env == name
    assert Config(env=name) == config
    assert hash(Config(env=name)) == hash(config)


def test_an_object_trains_as_its_name_does():
    named = Config(env=f"{ENVS}:PointMass(size=3)", network=f"{NETWORKS}:Wide(width=16)", **TINY)
    given = named.replace(env=PointMass(size=3), network=Wide(num_outputs=0, width=16))
    results = train(named, key()), train(given, key())
    jax.tree.map(np.testing.assert_array_equal, *(x._replace(key=None) for x, _ in results))
    assert results[0][0].params.policy["params"]["log_std"].shape == (3,)


def test_a_class_that_is_defined_again_is_another(monkeypatch):
    def step_env(self, key, state, action, params):
        obs, state, _, *others = PointMass.step_env(self, key, state, action, params)
        return obs, state, 1.0, *others

    first = train(Config(env=PointMass, **TINY), key())[1]
    again = type("PointMass", (PointMass,), {"step_env": step_env, "__module__": ENVS})
    monkeypatch.setattr(environments, "PointMass", again)
    config = Config(env=again, **TINY)
    assert config == Config(env=f"{ENVS}:PointMass", **TINY)
    second = train(config, key())[1]
    assert np.all(first.mean_return < 0)
    np.testing.assert_array_equal(second.mean_return, 20.0)


def test_a_run_records_import_paths_and_arguments(tmp_path):
    config = Config(env=PointMass(size=3), network=Wide, baseline_network="mlp", **TINY)
    train_run(config, 0, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert run.config == config
    assert type(run.config.env) is str
    assert set(run.params.baseline["params"]) == {"mlp"}
    returns = [evaluate(c, run.params, key(), 2).episode_return for c in (config, run.config)]
    np.testing.assert_array_equal(*returns)


@pytest.mark.parametrize("env", [lambda: PointMass(3), Wrapped(PointMass(3))])
def test_what_has_no_import_path_is_trained_but_not_recorded(env, tmp_path):
    config = Config(env=env, network=lambda num_outputs: Wide(num_outputs), **TINY)
    message = "cannot be recorded: a run needs a class or a function that can be imported"
    with pytest.raises(ValueError, match=message):
        train_run(config, 0, tmp_path / "run")
    with pytest.raises(ValueError, match=message):
        sweep(config, range(1), path=tmp_path / "sweep")
    assert not list(tmp_path.iterdir())
    params = sweep(config, range(1), num_episodes=2).params(0, 0)
    assert params.policy["params"]["log_std"].shape == (3,)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (f"{ENVS}:PointMass(size=abc)", r"must be module:Name\(size=3\), with literal"),
        (f"{ENVS}:PointMass(size=3", r"must be module:Name\(size=3\), with literal"),
        (f"{ENVS}:PointMass(length=3)", "TypeError: .* unexpected keyword argument 'length'"),
        (f"{ENVS}:DictPointMass", "observes a dict, which is not supported; return one array"),
        ("__main__:PointMass", "move it from the script or notebook to a module"),
        (3, "env must be a printable name, a class, a function or an instance, not 3"),
    ],
)
def test_what_is_no_environment_is_refused_in_a_line(env, message):
    with pytest.raises(ValueError, match=message):
        make(Config(env=env).env)


@pytest.mark.parametrize("kind", [PointMass, environments.OldPointMass])
def test_the_time_limit_is_a_truncation_whatever_the_environment_calls_done(kind):
    env = make(Config(env=kind).env)
    _, state = env.reset(jax.random.split(key(), 3))
    time = jnp.array([0, 18, 19])
    position = state.position.at[0].set(20.0)
    state = state.replace(time=time, position=position)
    result = env.step(jax.random.split(jax.random.key(1), 3), state, jnp.zeros((3, 2)))
    np.testing.assert_array_equal(result.terminated, [True, False, False])
    np.testing.assert_array_equal(result.truncated, [False, False, True])


def test_a_shared_network_has_the_gradient_of_both_losses():
    config = Config(env=PointMass, network=Both, baseline_coef=0.25, block_rows=16, **TINY)
    setup, state = make_setup(config), init(config, key())
    played = rollout.play_batch(setup, state.params, state.lanes, jax.random.key(1))[2]
    targets, statistics = losses.make_targets(setup, state.params, played)
    count = statistics.num_steps
    grads, _ = losses.gradients(setup, state.params, played, targets, count)

    def loss(policy):
        params = state.params._replace(policy=policy)
        rows = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (played, targets))
        flat, flat_targets = rows[0]._replace(next_obs=None), rows[1]
        errors = setup.networks.values(params, flat.obs) - flat_targets.returns
        squares = jnp.sum(errors**2, where=flat.valid) / count
        return losses.policy_terms(setup, params, flat, flat_targets, count).loss + squares / 4

    expected = jax.grad(loss)(state.params.policy)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=2e-4), grads.policy, expected)
    assert not jax.tree.leaves(grads.baseline)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"network": Wide, "baseline_network": Both}, "gives values, too; it may be `network`"),
        ({"network": Both, "baseline_network": "mlp"}, "baseline_network needs a baseline network"),
        ({"network": Both, "baseline_steps": 2}, "baseline_steps needs a baseline network"),
        ({"network": Both, "gradient_noise": True}, "gradient_noise needs a baseline network"),
    ],
)
def test_what_a_shared_network_does_not_go_with(fields, message):
    with pytest.raises(ValueError, match=message):
        make_setup(Config(env=PointMass, **{**TINY, **fields}))
