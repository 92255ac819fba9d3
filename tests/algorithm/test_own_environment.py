"""Environments of one's own: as good as gymnax's, or one line that says what is wrong."""

import re

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import Config, train
from purejaxrl_reinforce.algorithm.environments.environment import make
from tests.support.runs import error_of

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
    ("DividesByZero", r"fails: ZeroDivisionError: .* \(.*/environments.py, line \d+\)$"),
    ("NoTimeLimit", "has no time limit: its max_steps_in_episode is 0"),
    ("NoParams", "has default_params that are no dataclass, but dict"),
    ("FourValues", "must return obs, state, reward, terminated, info from step_env"),
    ("NoState", "must return obs, state from reset_env"),
    ("AnotherObservation", "another observation from step_env than from reset_env: .*2,.*4,"),
    ("AnotherState", "another state from step_env than from reset_env: .*int32"),
    ("OutsideItsSpace", r"not of its space's shape: \(4,\), not \(5,\)"),
    ("ManyRewards", "a reward that is no number: 4, not 1"),
    ("OneAction", r"action space Discrete\(1\) leaves nothing to choose"),
    ("ManyActions", "action space .* is not supported; use Discrete or a one-dimensional Box"),
    ("NoSpaces", "fails: NotImplementedError"),
    ("Mime", "tests.support.environments has no 'Mime'; did you mean 'Mine'?"),
]


@pytest.mark.parametrize(("name", "message"), WRONG)
def test_what_is_wrong_is_said_in_a_line(name, message):
    with pytest.raises(ValueError, match=message) as caught:
        make(f"{HERE}:{name}")
    assert "\n" not in str(caught.value)


MODULES = [
    (None, "no_such_module:Env", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("def f(:", "bad_syntax:Env", r"SyntaxError: invalid syntax \(bad_syntax.py, line 1\)"),
    ("x = 1\n1 / 0", "fails_early:Env", r"ZeroDivisionError: .*fails_early.py, line 2\)"),
    ("import not_there", "imports_nothing:Env", "ModuleNotFoundError: No module named 'not_there'"),
]


@pytest.mark.parametrize(("text", "env", "message"), MODULES)
def test_a_module_that_cannot_be_imported(text, env, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / f"{env.partition(':')[0]}.py").write_text(text)
    error = error_of(["train", "--env", env, "--run-dir", "run"], capsys)
    assert error.startswith(f"environment '{env}' cannot be imported: ")
    assert re.search(message, error)
    assert not (tmp_path / "run").exists()
