"""The public policy: actions for one observation or many, the same that `evaluate` plays."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import Config, SavedRun, evaluate, init, make_train, policy, train
from purejaxrl_reinforce.algorithm import lanes, rollout
from purejaxrl_reinforce.environments.environment import make

TINY = {"num_envs": 2, "hidden_sizes": (8,)}


@pytest.mark.parametrize("env", ["CartPole-v1", "Pendulum-v1", "FrozenLake-misc"])
def test_one_observation_many_and_mapped_ones_get_the_same_actions(env):
    config = Config(env=env, **TINY)
    state = init(config, jax.random.key(0))
    act, obs = policy(config, state.params), state.lanes.obs
    many = jax.jit(act)(obs)
    assert many.shape == (2, *make(env).action_shape)
    for others in (jnp.stack([act(obs[0]), act(obs[1])]), jax.vmap(act)(obs), act(obs[None])[0]):
        np.testing.assert_allclose(others, many, rtol=1e-6)


def test_it_plays_the_episodes_of_evaluate():
    config = Config(env="CartPole-v1", **TINY)
    params, key = init(config, jax.random.key(0)).params, jax.random.key(1)
    env, act = make("CartPole-v1"), jax.jit(policy(config, params))
    found = evaluate(config, params, key, 1)
    keys = lanes.ONE_DEVICE.keys(lanes.evaluation_key(jax.random.clone(key)), 1)
    obs, state = env.reset(rollout.keys_for(keys, rollout.KeyUse.START))
    steps, done = 0, False
    while not done:
        obs, state, _, done, _ = env.step(jax.vmap(jax.random.clone)(keys), state, act(obs))
        steps += 1
    assert found.episode_length[0] == steps


def test_samples_vary_within_the_bounds():
    config = Config(env="Pendulum-v1", initial_std=5.0, **TINY)
    params = init(config, jax.random.key(0)).params
    act, obs = policy(config, params, greedy=False), jnp.ones((500, 3))
    actions = act(obs, jax.random.key(1))
    assert actions.min() == -2
    assert actions.max() == 2
    assert len(np.unique(actions)) > 50


def test_what_it_lacks_is_said():
    config = Config(**TINY)
    state = init(config, jax.random.key(0))
    with pytest.raises(ValueError, match=r"shape \(4,\), or more before, not \(3,\)"):
        policy(config, state.params)(jnp.zeros(3))
    with pytest.raises(ValueError, match="that is not greedy needs a key"):
        policy(config, state.params, greedy=False)(jnp.zeros(4))
    with pytest.raises(ValueError, match=r"but a state: pass state\.params"):
        evaluate(config, state, jax.random.key(1))
    with pytest.raises(ValueError, match=r"but a state: pass state\.params"):
        policy(config, state)
    with pytest.raises(ValueError, match=r"but a run: pass run\.params"):
        policy(config, SavedRun(Path("run"), config, 0, ""))


def test_what_is_no_configuration_is_refused():
    key, run = jax.random.key(0), SavedRun(Path("run"), Config(), 0, "")
    for use in (lambda: make_train({}), lambda: train(key, Config()), lambda: policy(run, {})):
        with pytest.raises(ValueError, match="config must be a Config, not "):
            use()
