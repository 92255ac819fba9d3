"""Fresh interpreters: what the library needs, and what the command line does without."""

import json

from tests.support.processes import run_python

TRAIN_AND_EVALUATE = """
import builtins
import sys

USABLE = {"jax", "gymnax", "flax", "optax", "chex", "numpy", "purejaxrl_reinforce"}
original = builtins.__import__

def guarded(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {}).get("__name__", "")
    known = USABLE | set(sys.stdlib_module_names)
    if importer.startswith("purejaxrl_reinforce") and name.partition(".")[0] not in known:
        raise ImportError(f"{importer} imports {name}")
    return original(name, globals, locals, fromlist, level)

builtins.__import__ = guarded
import jax
from purejaxrl_reinforce import Config, evaluate, train

config = Config(num_envs=2, num_updates=1, num_steps=5, hidden_sizes=(2,))
state, _ = train(config, jax.random.key(0))
evaluate(config, state.params, jax.random.key(1), num_episodes=2)
"""

HELP_AND_A_MISTAKE = """
from purejaxrl_reinforce.cli.main import main

for arguments, code in ((["--help"], 0), (["train", "--help"], 0), (["train", "--x"], 2)):
    assert main(arguments) == code
"""


def imported(script: str) -> set[str]:
    """Run a script in a fresh interpreter; return the modules that it has imported."""
    names = "\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = run_python("-c", script + names)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_train_and_evaluate_need_six_packages():
    # gymnax itself imports matplotlib for its plots, flax rich and Pallas: they are put off.
    names = imported(TRAIN_AND_EVALUATE)
    assert not names & {"tyro", "matplotlib", "PIL", "rich", "scipy", "yaml"}
    assert not any("pallas" in name for name in names)


def test_help_and_mistakes_answer_without_heavy_imports():
    heavy = {"flax", "gymnax", "jax", "matplotlib", "numpy", "optax", "orbax", "PIL", "rich"}
    assert not imported(HELP_AND_A_MISTAKE) & (heavy | {"pandas", "psutil", "scipy"})
