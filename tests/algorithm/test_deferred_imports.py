"""Imports for plots wait until something is drawn, and stay out of everybody's way."""

import subprocess
import sys

GYMNAX = """
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
    subprocess.run([sys.executable, "-c", GYMNAX], check=True, timeout=200)
