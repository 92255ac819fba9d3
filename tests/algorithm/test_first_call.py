"""Training as the first call of a fresh interpreter, on every registered environment."""

import itertools
import os
import subprocess
import sys

import gymnax
import pytest

from tests.support.processes import ROOT

# MNISTBandit fetches its data from the network; others are probes of tests.
NAMES = [x for x in gymnax.registered_envs if not x.startswith("MNIST") and "probe" not in x]
# FrozenLake from the library: test_keys.py.
ALWAYS = (("FrozenLake-misc", "command"), ("Pendulum-v1", "library"))
LIBRARY = """
import sys
import jax
from purejaxrl_reinforce import Config, train
config = Config(env=sys.argv[1], num_envs=2, num_steps=5, num_updates=3, hidden_sizes=(4,))
_, metrics = train(config, jax.random.key(0))
assert metrics.finite.all()
"""
COMMAND = [
    "-m", "purejaxrl_reinforce", "train", "--num-envs", "2", "--num-steps", "5",
    "--num-updates", "3", "--hidden-sizes", "4", "--quiet", "--run-dir", "run", "--env",
]  # fmt: skip
STARTS = {"library": ["-c", LIBRARY], "command": COMMAND}


@pytest.mark.parametrize(
    ("name", "start"),
    [
        pytest.param(*case, marks=() if case in ALWAYS else pytest.mark.slow)
        for case in itertools.product(NAMES, STARTS)
    ],
)
def test_three_updates_as_the_first_call(name, start, tmp_path):
    done = subprocess.run(
        [sys.executable, *STARTS[start], name],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=tmp_path, timeout=300,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
