"""The public names: found by tab completion, typed, and taking plain arguments."""

import doctest
import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import purejaxrl_reinforce

ROOT = Path(__file__).parents[1]
# Whose example uses what another one leaves, after it.
FIRST = ("train_run", "save", "sweep")
SCRIPT = """
import functools
from typing import assert_type

import flax.linen as nn
import jax
from gymnax.environments.classic_control.cartpole import CartPole

import purejaxrl_reinforce
from purejaxrl_reinforce import (
    Config, Evaluation, Metrics, SweepResults, TrainState, evaluate, init, load_run, make_train,
    policy, step, sweep, train,
)


class Slippery(CartPole):  # type: ignore[misc]
    def __init__(self, grip: float = 0.5) -> None:
        self.grip = grip


class Wide(nn.Module):
    num_outputs: int
    width: int = 8


Config(env=Slippery, network=Wide, baseline_network="mlp")
own = Config(env=Slippery(grip=0.1), network=functools.partial(Wide, width=4))
Config(env=lambda: Slippery(), network=Wide(num_outputs=0)).replace(env="CartPole-v1")
name: str = own.env

config, key = Config(num_envs=2, env_params={"gravity": 12.0}), jax.random.key(0)
assert_type(config, Config)
assert_type(init(config, key), TrainState)
assert_type(step(config, init(config, key)), tuple[TrainState, Metrics])
assert_type(train(config, key), tuple[TrainState, Metrics])
assert_type(make_train(config)(key), tuple[TrainState, Metrics])
params = init(config, key).params
assert_type(evaluate(config, params, key, num_episodes=3, greedy=False), Evaluation)
assert_type(load_run("run").state, TrainState)
assert_type(policy(own, params)(init(own, key).lanes.obs), jax.Array)
assert_type(sweep(own, 5), SweepResults)
assert_type(sweep(own, [1, 2], {"policy_lr": [0.1]}, progress=True).best, Config)
reveal_type(train)
train(config, 0)
purejaxrl_reinforce.trian
"""


@pytest.mark.slow
def test_functions_keep_their_types(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(SCRIPT)
    # A process and a directory of its own: mypy then finds the package as it is installed, and
    # says nothing of what it would find in it.
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", ROOT / "pyproject.toml"]
    ran = subprocess.run([*command, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    revealed, error, missing, found, *rest = (ran.stdout + ran.stderr).splitlines()
    assert "(config: purejaxrl_reinforce.config.Config, key: jax." in revealed
    (line,) = (n for n, text in enumerate(SCRIPT.splitlines(), 1) if text == "train(config, 0)")
    assert f'script.py:{line}: error: Argument 2 to "train" has incompatible type "int"' in error
    assert 'expected "Array"' in error
    assert 'Module has no attribute "trian"' in missing
    assert found.startswith("Found 2 errors")
    assert not rest


def test_public_names_are_listed_and_there():
    names = purejaxrl_reinforce.__all__
    assert dir(purejaxrl_reinforce) == sorted([*names, "__version__"])
    assert {"Config", "train", "evaluate", "train_run", "sweep"} <= set(names)
    assert all(getattr(purejaxrl_reinforce, name).__doc__ for name in names)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        purejaxrl_reinforce.trian  # noqa: B018
    version = importlib.metadata.version("purejaxrl_reinforce")
    assert purejaxrl_reinforce.__version__ == version


@pytest.mark.slow
def test_every_public_name_has_an_example_that_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    finder, runner = doctest.DocTestFinder(recurse=False), doctest.DocTestRunner()
    for name in dict.fromkeys((*FIRST, *purejaxrl_reinforce.__all__)):
        thing = getattr(purejaxrl_reinforce, name)
        (test,) = finder.find(getattr(thing, "__wrapped__", thing), name, globs={})
        assert test.examples, name
        assert not runner.run(test, out=print).failed, name
