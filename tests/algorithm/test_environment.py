"""Environments and their parameters are Gymnasium's, or one's own; errors name what is wrong."""

import re

import chex
import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import Config, init, step, train
from purejaxrl_reinforce.config import EnvParams
from purejaxrl_reinforce.environments.environment import checked, make
from purejaxrl_reinforce.evaluation.gymnasium import make_rendered, make_vector
from tests.support.configs import TEXTBOOK
from tests.support.processes import run_python
from tests.support.runs import error_of

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


# Set by arrays, by noise, by others, or by what both libraries have but only in their spaces.
NOT_SET = {
    "available_torque", "torque_noise_max", "max_torque", "min_action", "max_action", "total_mass",
    "polemass_length", "max_steps_in_episode",
}  # fmt: skip


def settable(name):
    """Return the parameters of an environment that a configuration can set, as they are."""
    return {x: value for x, value in vars(make(name)._params).items() if x not in NOT_SET}


def keys(n):
    return jax.random.split(jax.random.key(0), n)


def their_step(env, states, actions):
    envs = make_vector(env, len(states))
    envs.reset(seed=0)
    if hasattr(envs.unwrapped, "state"):
        envs.unwrapped.state = np.transpose(states)
    else:
        for copy, state in zip(envs.envs, states, strict=True):
            copy.unwrapped.state = np.array(state)
    result = envs.step(np.array(actions))[:3]
    envs.close()
    return result


def our_step(env, names, states, actions):
    _, lanes = env.reset(keys(len(states)))
    columns = dict(zip(names, jnp.float32(np.transpose(states)), strict=True))
    result = env.step(keys(len(states)), lanes.replace(**columns), jnp.asarray(actions))
    return [np.asarray(x) for x in (result.obs, result.reward, result.terminated)]


def test_transitions_are_gymnasiums():
    """1,000 random states, among them many next to and beyond the limits, and random actions."""
    limits, random = np.array([2.4, 12 * np.pi / 180]), np.random.default_rng(0)
    states = random.uniform([-2.6, -3, -0.23, -3], [2.6, 3, 0.23, 3], (1000, 4))
    actions, env = random.integers(0, 2, 1000), make("CartPole-v1")
    ours = our_step(env, COUNTERPARTS[env.name][0], states, actions)
    obs, rewards, terminated = their_step(env, states, actions)
    np.testing.assert_allclose(ours[0], obs, rtol=0, atol=1e-5)
    clear = (np.abs(np.abs(obs[:, ::2]) - limits) > 1e-5).all(axis=1)
    np.testing.assert_array_equal(ours[2][clear], terminated[clear])
    # A step out of a state beyond the limits is none that an episode takes.
    inside = (np.abs(states[:, ::2]) < limits).all(axis=1)
    np.testing.assert_array_equal(ours[1][inside], rewards[inside])
    assert 100 < terminated.sum() < 900


@pytest.mark.parametrize("name", COUNTERPARTS)
def test_steps_with_all_parameters_changed_are_gymnasiums(name):
    names, state, action = COUNTERPARTS[name]
    changed = {x: 1.2 * value or 0.01 for x, value in settable(name).items()}
    if name == "MountainCarContinuous-v0":
        del changed["gravity"]  # a number in Gymnasium's code
    env = make(name, EnvParams(changed))
    ours, theirs = our_step(env, names, [state], [action]), their_step(env, [state], [action])
    for x, y in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(x, y, rtol=0, atol=1e-5)
    assert np.abs(ours[0] - our_step(make(name), names, [state], [action])[0]).max() > 1e-4


def test_only_gymnasiums_continuous_car_stops_at_the_left_wall():
    """As docs/pages/presets.md says."""
    name, states = "MountainCarContinuous-v0", [[-1.19, -0.05]]
    ours = our_step(make(name), COUNTERPARTS[name][0], states, [[-1.0]])[0]
    theirs = their_step(make(name), states, [[-1.0]])[0]
    np.testing.assert_allclose(theirs, [[-1.2, 0.0]], atol=1e-6)
    np.testing.assert_allclose(ours[:, 0], -1.2, atol=1e-6)
    assert ours[0, 1] < -0.04


def test_what_gymnasium_cannot_change_is_refused():
    env = make("MountainCarContinuous-v0", EnvParams({"gravity": 0.01}))
    assert make_rendered(env) is None
    with pytest.raises(ValueError, match="has no parameter 'gravity'"):
        make_vector(env, 2)


def test_the_time_limit_is_a_parameter():
    env = make("CartPole-v0", EnvParams({"max_steps_in_episode": 15}))
    limits = [x.time_limit for x in (env, make("CartPole-v0"), make("CartPole-v1"))]
    assert limits == [15, 200, 500]
    _, lanes = env.reset(keys(1))
    for time, truncated in ((13, False), (14, True)):
        result = env.step(keys(1), lanes.replace(time=jnp.full(1, time)), jnp.zeros(1, int))
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


# MNISTBandit fetches its data from the network.
LOCAL_ENVIRONMENTS = [name for name in gymnax.registered_envs if not re.search("MNIST|probe", name)]


def own_params(name):
    """Return all parameters of an environment that can be given, as they are."""
    given = {x: y for x, y in settable(name).items() if isinstance(y, bool | int | float)}
    return given | {"max_steps_in_episode": make(name).time_limit}


@pytest.mark.parametrize("name", LOCAL_ENVIRONMENTS)
@pytest.mark.parametrize(
    ("rollout", "given"),
    [
        ("episodes", own_params),  # floats traced, the others static
        pytest.param("stream", lambda name: {}, marks=pytest.mark.slow),
    ],
    ids=["with all parameters", "stream"],
)
def test_every_gymnax_environment_can_be_trained_on(name, rollout, given):
    sizes = {"num_envs": 3, "num_steps": 12, "hidden_sizes": (8,)}
    config = TEXTBOOK.replace(env=name, rollout=rollout, env_params=given(name), **sizes)
    with jax.numpy_rank_promotion("allow"):  # gymnax's Swimmer relies on it
        state = jax.eval_shape(init, config, jax.random.key(0))
        after, metrics = jax.eval_shape(step, config, state)
    chex.assert_trees_all_equal_shapes_and_dtypes(after, state)
    assert all(metric.shape == () for metric in jax.tree.leaves(metrics))


def test_actions_are_clipped_to_the_action_space():
    env = make("Target-probe")
    _, lanes = env.reset(jax.random.split(jax.random.key(0), 2))
    key = jax.random.split(jax.random.key(1), 2)
    wild = env.step(key, lanes, jnp.array([[9.0], [-9.0]]))
    limit = env.step(jax.random.clone(key), lanes, jnp.array([[2.0], [-2.0]]))
    np.testing.assert_array_equal(wild.reward, limit.reward)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CartPole-v7", "unknown environment 'CartPole-v7'; did you mean 'CartPole-v1'"),
        ("cartpole-V0", "did you mean 'CartPole-v0'"),
        ("my_envs.Mine", "unknown environment 'my_envs.Mine'; write your own as my_envs:Mine"),
        ("xyzzy", "unknown environment 'xyzzy'; did you mean '.*' or '.*' or '.*'"),
        ("Broken-probe", "environment 'Broken-probe' cannot be made: its data is missing"),
        ("DictObservation-probe", "observation space Dict is not supported; use a Box, of"),
    ],
)
def test_errors_say_what_would_be_right(name, message):
    with pytest.raises(ValueError, match=message):
        make(name)


HERE = "tests.support.environments"
TINY = {"num_envs": 4, "num_steps": 10, "num_updates": 3, "hidden_sizes": (4,)}


@pytest.mark.parametrize("name", ["Mine", "instance"])
def test_it_trains_as_the_same_environment_of_gymnax_does(name):
    ours = train(Config(env=f"{HERE}:{name}", **TINY), jax.random.key(0))[1]
    theirs = train(Config(**TINY), jax.random.key(0))[1]
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


WRONG = [
    ("number", "is neither a class nor an instance of gymnax's Environment"),
    ("NeedsArguments", "fails: TypeError: .* missing 1 required positional argument: 'size'"),
    ("Failing", r"fails: KeyError: 'pixels' \(.*/environments.py, line \d+\)$"),
    ("Exits", "fails: SystemExit"),
    ("NoTimeLimit", "has no time limit: its max_steps_in_episode is 0"),
    ("FourValues", "must return obs, state, reward, terminated, info from step_env"),
    ("AnotherState", "another state from step_env than from reset_env: .*x='int32 of"),
    ("OutsideItsSpace", r"not of its space's shape: \(4,\), not \(5,\)"),
    ("ManyRewards", "a reward that is no number: 4, not 1"),
    ("OneAction", r"action space Discrete\(1\) leaves nothing to choose"),
    ("ManyActions", "action space .* is not supported; use Discrete or a one-dimensional Box"),
    ("NoSpaces", "must define observation_space$"),
    ("NoStep", "must define step_env; `step` is not called$"),
    ("OldDiscount", "must define is_terminated, is_terminal in gymnax 0.x; rename it, or leave"),
    ("OneStep", "time limit, 1: define max_steps_in_episode in its parameters' class"),
    ("NoTime", "has a state without a field `time`: derive it from EnvState, or define is_trunc"),
    ("NoReward", "a reward that is no number: None, not 1"),
    ("Mime", "tests.support.environments has no 'Mime'; did you mean 'Mine'?"),
]


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_what_is_wrong_is_said_in_a_line(name, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(f"{HERE}:{name}")
    assert "\n" not in str(caught.value)


MODULES = [
    ("def f(:", "bad_syntax:Env", r"SyntaxError: invalid syntax \(bad_syntax.py, line 1\)"),
    ("x = 1\n1 / 0", "fails_early:Env", r"ZeroDivisionError: .*fails_early.py, line 2\)"),
    ("import not_there", "imports_nothing:Env", "ModuleNotFoundError: No module named 'not_there'"),
    ("", "with_suffix.py:Env", "; leave out .py$"),
    ("", "elsewhere.not_there:Env", "; run it where its module is, or set PYTHONPATH$"),
]


@pytest.mark.parametrize(("text", "env", "message"), MODULES)
def test_a_module_that_cannot_be_imported(text, env, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{env.partition(':')[0]}.py").write_text(text)
    error = error_of(["train", "--env", env, "--run-dir", "run"], capsys)
    assert error.startswith(f"environment '{env}' cannot be imported: ")
    assert re.search(message, error)
    assert not (tmp_path / "run").exists()


TRAINING = """
import sys
import jax
from purejaxrl_reinforce import Config, train
config = Config(env=sys.argv[1], num_envs=2, num_steps=5, num_updates=3, hidden_sizes=(4,))
_, metrics = train(config, jax.random.key(0))
assert metrics.finite.all()
import gymnax  # which is whole, though the environment was made inside a trace
env, params = gymnax.make(sys.argv[1])
env.reset(jax.random.key(0), params)
"""
SLOW = set(LOCAL_ENVIRONMENTS) - {"Pendulum-v1", "FrozenLake-misc"}


@pytest.mark.parametrize(
    "name", [pytest.param(x, marks=[pytest.mark.slow] * (x in SLOW)) for x in LOCAL_ENVIRONMENTS]
)
def test_three_updates_as_the_first_call(name, tmp_path):
    done = run_python("-c", TRAINING, name, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


DRAWING = """
import sys
from purejaxrl_reinforce.environments.environment import make
make("CartPole-v1")
assert not {"seaborn", "matplotlib.pyplot", "pandas"} & set(sys.modules)
from gymnax.environments.misc import pong
import seaborn
import matplotlib.pyplot
assert pong.sns.color_palette is seaborn.color_palette
assert pong.plt.subplots is matplotlib.pyplot.subplots
"""


def test_gymnax_imports_what_it_draws_with_when_it_draws():
    assert run_python("-c", DRAWING).returncode == 0
