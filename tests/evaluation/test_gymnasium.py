"""A trained policy in Gymnasium's environments, beside the same policy in gymnax."""

import re

import gymnasium
import jax
import numpy as np
import pytest

from purejaxrl_reinforce import Config, init
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.environments import environment
from purejaxrl_reinforce.evaluation.gymnasium import act, evaluate_in_gymnasium, make_vector
from purejaxrl_reinforce.evaluation.scores import agreement
from purejaxrl_reinforce.runs.saved_run import load_run
from tests.support.learning import networks_of
from tests.support.runs import error_of, random_run, train_run


@pytest.fixture(scope="module")
def cartpole(tmp_path_factory):
    """Half-trained, so that returns spread."""
    path = tmp_path_factory.mktemp("runs") / "cartpole"
    rates = ["--gamma", "0.99", "--policy-lr", "3e-2"]
    return train_run(path, "--num-updates", "8", "--no-anneal", *rates)


@pytest.mark.parametrize(("kind", "options"), [("greedy", []), ("sampled", ["--sample"])])
def test_both_backends_agree(kind, options, cartpole, capsys):
    command = ["evaluate", str(cartpole), "--backend", "gymnasium", "--num-episodes", "400"]
    assert main([*command, *options]) == 0
    ours, theirs, verdict = capsys.readouterr().out.splitlines()
    for line, where in ((ours, "JAX"), (theirs, "Gymnasium")):
        assert re.search(rf"400 {kind} episodes, in {where}: mean .* \(95% interval \d", line)
    assert verdict.startswith("they agree: JAX minus Gymnasium = ")


@pytest.mark.parametrize("action", ["clip", "squash"])
def test_continuous_actions_reach_gymnasium_within_their_bounds(action):
    config = Config(env="Pendulum-v1", hidden_sizes=(), action=action)
    params = init(config, jax.random.key(0)).params
    obs = np.float32([[0.0, 1.0, 0.5], [9.0, 9.0, 9.0]])
    mean = networks_of(config).distribution(params, obs).mode()
    actions = act(config, params, obs, jax.random.key(1), greedy=True)
    expected = 2 * np.tanh(mean) if action == "squash" else np.clip(mean, -2, 2)
    np.testing.assert_allclose(actions, expected, rtol=1e-5)


def test_a_difference_is_said():
    same = np.linspace(100, 120, 50)
    assert agreement(same - 3, same) == (
        "they differ: JAX minus Gymnasium = -3.0 (-5.4 to -0.6), an interval that excludes 0"
    )


@pytest.mark.parametrize("env", ["Acrobot-v1", "Pendulum-v1"])
def test_other_environments(env, tmp_path, capsys):
    run = random_run(tmp_path / "run", Config(env=env, hidden_sizes=(8,)))
    arguments = ["--backend", "gymnasium", "--num-episodes", "12"]
    assert main(["evaluate", str(run), *arguments]) == 0
    assert "they agree" in capsys.readouterr().out


class Unequal(gymnasium.vector.VectorEnv):
    """Environment i has episodes of i + 1 steps, reward i + 1 each, then starts again."""

    def __init__(self, num_envs):
        self.num_envs = num_envs
        self.single_observation_space = gymnasium.spaces.Box(-9, 9, (4,))
        self.single_action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.time = np.zeros(self.num_envs, int)
        return np.zeros((self.num_envs, 4), np.float32), {}

    def step(self, action):
        assert action.shape == (self.num_envs,)
        self.time += 1
        rank = np.arange(1, self.num_envs + 1)
        done = self.time % rank == 0
        return np.zeros((self.num_envs, 4), np.float32), rank * 1.0, done, ~done & False, {}


def test_first_episodes_only_and_each_once(cartpole, monkeypatch):
    """Short episodes repeat while long ones last; they still count once."""
    monkeypatch.setattr(
        "purejaxrl_reinforce.evaluation.gymnasium.make_vector",
        lambda env, num_envs: Unequal(num_envs),
    )
    run = load_run(cartpole)
    played = evaluate_in_gymnasium(run.config, run.params, jax.random.key(0), 6)
    np.testing.assert_array_equal(played.episode_length, np.arange(1, 7))
    np.testing.assert_array_equal(played.episode_return, np.arange(1, 7) ** 2)


@pytest.mark.parametrize(("name", "limit"), [("CartPole-v0", 200), ("MountainCar-v0", 200)])
def test_time_limits_are_those_of_training(name, limit):
    """CartPole has a vectorized entry point, MountainCar has none."""
    envs = make_vector(environment.make(name), 2)
    assert isinstance(envs, gymnasium.vector.SyncVectorEnv) == (name == "MountainCar-v0")
    envs.reset(seed=0)
    if name == "CartPole-v0":
        envs.unwrapped.theta_threshold_radians = envs.unwrapped.x_threshold = np.inf
    for t in range(limit):
        _, _, terminated, truncated, _ = envs.step(np.array([0, 1]))
        assert not terminated.any()
        assert (truncated == (t == limit - 1)).all()
    envs.close()


def test_one_episode_has_no_interval(cartpole, capsys):
    arguments = ["--backend", "gymnasium", "--num-episodes", "1"]
    assert main(["evaluate", str(cartpole), *arguments]) == 0
    out = capsys.readouterr().out
    assert out.count("no interval from one episode") == 2
    assert "one episode cannot show whether they agree" in out


def test_other_spaces_are_refused(cartpole, monkeypatch, capsys):
    monkeypatch.setitem(environment.ALIASES, "CartPole-v1", ("Acrobot-v1", {}))
    error = error_of(["evaluate", str(cartpole), "--backend", "gymnasium"], capsys)
    assert "has other spaces than gymnax's" in error
