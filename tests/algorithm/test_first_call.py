"""Training as the first call of a fresh interpreter, on every registered environment."""

import os
import subprocess
import sys

import gymnax
import pytest

from tests.support.processes import ROOT

# MNISTBandit fetches its data from the network; others are probes of tests.
NAMES = [x for x in gymnax.registered_envs if not x.startswith("MNIST") and "probe" not in x]
ALWAYS = ("Pendulum-v1", "FrozenLake-misc")
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


@pytest.mark.parametrize(
    "name", [x if x in ALWAYS else pytest.param(x, marks=pytest.mark.slow) for x in NAMES]
)
def test_three_updates_as_the_first_call(name, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, name],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


DRAWING = """
import sys
from purejaxrl_reinforce.algorithm.environments.environment import make
make("CartPole-v1")
assert not {"seaborn", "matplotlib.pyplot", "pandas"} & set(sys.modules)
from gymnax.environments.misc import pong
import seaborn
import matplotlib.pyplot
assert pong.sns.color_palette is seaborn.color_palette
assert pong.plt.subplots is matplotlib.pyplot.subplots
"""


def test_gymnax_imports_what_it_draws_with_when_it_draws():
    subprocess.run([sys.executable, "-c", DRAWING], check=True, timeout=200)
