"""Parameters of environments: the same physics as in Gymnasium, and nothing that is not there."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce.algorithm.environments.environment import checked, make
from purejaxrl_reinforce.config import Config, EnvParams
from purejaxrl_reinforce.evaluation.gymnasium import make_rendered, make_vector
from tests.support.env_params import settable

# Environments of both libraries, the names of a state's numbers in gymnax, a state and an action
# at which every parameter counts.
COUNTERPARTS = {
    "CartPole-v1": (("x", "x_dot", "theta", "theta_dot"), [1.0, 1.5, 0.1, 1.0], 1),
    "Pendulum-v1": (("theta", "theta_dot"), [1.0, 2.0], [1.5]),
    "Acrobot-v1": (
        ("joint_angle1", "joint_angle2", "velocity_1", "velocity_2"), [0.3, 0.5, 1.0, 1.5], 2,
    ),
    "MountainCar-v0": (("position", "velocity"), [-0.3, 0.02], 2),
    "MountainCarContinuous-v0": (("position", "velocity"), [-0.3, 0.02], [0.5]),
}  # fmt: skip


def key():
    return jax.random.split(jax.random.key(0), 1)


def their_step(env, state, action):
    envs = make_vector(env, 1)
    envs.reset(seed=0)
    inner = envs.unwrapped if hasattr(envs.unwrapped, "state") else envs.envs[0].unwrapped
    shape = (-1, 1) if inner is envs.unwrapped else -1
    inner.state = np.reshape(state, shape)
    obs, reward, terminated, _, _ = envs.step(np.array([action]))
    envs.close()
    return obs[0], reward[0], terminated[0]


def our_step(env, names, state, action):
    _, lanes = env.reset(key())
    values = {name: jnp.full(1, value) for name, value in zip(names, state, strict=True)}
    result = env.step(key(), lanes.replace(**values), jnp.array([action]))
    return result.obs[0], result.reward[0], result.terminated[0]


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_steps_with_all_parameters_changed_are_gymnasiums(name):
    names, state, action = COUNTERPARTS[name]
    own = make(name)._params
    changed = {x: 1.2 * getattr(own, x) or 0.01 for x in settable(name)}
    if name == "MountainCarContinuous-v0":
        del changed["gravity"]  # a number in Gymnasium's code
    env = make(name, EnvParams(changed))
    ours, theirs = our_step(env, names, state, action), their_step(env, state, action)
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-5)
    assert np.abs(ours[0] - our_step(make(name), names, state, action)[0]).max() > 1e-4


@pytest.mark.parametrize(
    ("parameter", "value"),
    [(x, 1.5) for x in ("gravity", "masscart", "masspole", "length", "force_mag", "tau")],
)
def test_each_parameter_of_cartpole_is_gymnasiums(parameter, value):
    names, state, action = COUNTERPARTS["CartPole-v1"]
    env = make("CartPole-v1", EnvParams({parameter: value}))
    ours, theirs = our_step(env, names, state, action), their_step(env, state, action)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=0, atol=1e-5)
    # One Euler step brings changed accelerations into the velocities.
    usual = their_step(make("CartPole-v1"), state, action)[0]
    assert np.abs(ours[0] - usual).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("MountainCarContinuous-v0", {"gravity": 0.01}, "has no parameter 'gravity'"),
        ("Pendulum-v1", {"max_torque": 3.0}, "has other spaces than gymnax's"),
    ],
)
def test_what_gymnasium_cannot_change_is_refused(name, params, message):
    assert make_rendered(make(name, EnvParams(params))) is None
    with pytest.raises(ValueError, match=message):
        make_vector(make(name, EnvParams(params)), 2)


def test_the_time_limit_is_a_parameter():
    env = make("CartPole-v0", EnvParams({"max_steps_in_episode": 15}))
    assert env.time_limit == 15
    _, lanes = env.reset(key())
    for time, truncated in ((13, False), (14, True)):
        result = env.step(key(), lanes.replace(time=jnp.full(1, time)), jnp.zeros(1, int))
        assert bool(result.truncated[0]) == truncated
    envs = make_vector(env, 1)
    assert isinstance(envs, gymnasium.vector.VectorEnv)
    assert envs.unwrapped.max_episode_steps == 15


def test_whole_numbers_become_floats_where_the_environment_has_them():
    config = Config(env_params={"gravity": 12, "max_steps_in_episode": 15})
    params = checked(config).env_params
    assert [type(params[x]) for x in ("gravity", "max_steps_in_episode")] == [float, int]


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("CartPole-v1", {"gravty": 12.0}, "CartPole-v1 has no parameter 'gravty'; .* 'gravity'"),
        ("CartPole-v0", {"total_mass": 2.0}, "total_mass of CartPole-v0 follows from others"),
        ("CartPole-v1", {"gravity": True}, "env_params.gravity must be a number, not True"),
        ("CartPole-v1", {"max_steps_in_episode": 0}, "must be at least 1, not 0"),
        ("CartPole-v1", {"max_steps_in_episode": 9.5}, "must be a whole number, such as 500"),
        ("Pong-misc", {"paddle_y_speed": 1.5}, "must be a whole number, such as 1"),
        ("Pong-misc", {"use_ai_policy": 1}, "must be true or false, not 1"),
        ("Acrobot-v1", {"available_torque": 1.0}, "is an array, which cannot be set"),
    ],
)
def test_wrong_parameters_are_refused(name, params, message):
    with pytest.raises(ValueError, match=message):
        make(name, EnvParams(params))
