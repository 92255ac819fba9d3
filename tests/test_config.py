"""Bad configurations are refused with one line that says what would be right; files round-trip."""

import copy
import math
import os
import pickle
import re
from dataclasses import replace

import numpy as np
import pytest

from purejaxrl_reinforce.config import Config
from purejaxrl_reinforce.config_file import load_config
from purejaxrl_reinforce.presets import PRESETS, preset
from tests.support.runs import write_config

PLAIN = {"bootstrap": False}
BAD = [
    ({"num_envs": 0}, "num_envs must lie between 1 and 2147483647, not 0"),
    ({"eval_every": -1}, "eval_every must lie between 0 and 2147483647, not -1"),
    ({"num_updates": 1.5}, "num_updates must be a whole number, not 1.5"),
    ({"num_updates": True}, "num_updates must be a whole number, not True"),
    ({"block_rows": "2"}, "block_rows must be a whole number, not '2'"),
    ({"hidden_sizes": (64, 0)}, "each of hidden_sizes must lie between 1 and 2147483647, not 0"),
    ({"hidden_sizes": (4,) * 1_000}, "must be a list of widths such as [64], at most 32, not (4,"),
    ({"hidden_sizes": 64}, "must be a list of widths such as [64], at most 32, not 64"),
    ({"rollout": "episode"}, "rollout must be one of episodes, stream, not 'episode'; did you"),
    ({"activation": "ReLU"}, "did you mean 'relu'?"),
    ({"baseline": None}, "baseline must be one of value, none, mean, loo, not None"),
    ({"bootstrap": 1}, "bootstrap must be true or false, not 1"),
    ({"network": "mlpp"}, "module:Name, not 'mlpp'; did you mean 'mlp'?"),
    ({"network": "a:B", "layer_norm": True}, "layer_norm and orthogonal need a built-in network"),
    ({"env": "Cart\x1b[31mPole"}, r"an instance, not 'Cart\x1b[31mPole'"),
    ({"env": ("env", "params")}, "; give a gymnax Environment, the first of the pair"),
    ({"env_params": 1}, "a table such as {gravity = 12.0}, in Python a mapping, not 1"),
    ({"env_params": {"gravity": "12"}}, "env_params.gravity must be a number, not '12'"),
    ({"env_params": {"gravity": math.nan}}, "gravity must lie between -3.4028234e+38 and"),
    ({"env_params": {"a\x1b[31m": 1.0}}, "must be a table such as {gravity = 12.0}, in Python"),
    ({"env_params": {"n": 2**40}}, "env_params.n must lie between -2147483647 and 2147483647"),
    ({"gamma": 1.1}, "gamma must lie between 0 and 1, not 1.1"),
    ({"trace_lambda": -0.1}, "trace_lambda must lie between 0 and 1, not -0.1"),
    ({"max_grad_norm": 0.0}, "max_grad_norm must lie between 1.1754944e-38 and inf, not 0.0"),
    ({"entropy_coef": -0.1}, "entropy_coef must lie between 0 and 3.4028234e+38, not -0.1"),
    ({"gamma": "0.9"}, "gamma must be a number, not '0.9'"),
    ({"gamma": 10**400}, "gamma must lie between 0 and 1, not 1000"),
    ({"policy_lr": math.nan}, "policy_lr must lie between 1.1754944e-38 and 3.4028234e+38, not"),
    ({"adam_epsilon": 1e-300}, "adam_epsilon must lie between 1.1754944e-38 and 3.4028234e+38"),
    ({"rollout": "stream"}, "rollout='stream' needs num_steps"),
    ({"reset_each_update": True}, "reset_each_update=True needs rollout='stream'"),
    ({"baseline": "none"}, "bootstrap=True needs baseline='value'"),
    ({"trace_lambda": 0.9, "baseline": "loo"} | PLAIN, "trace_lambda below 1 needs baseline='v"),
    ({"baseline_steps": 2, "baseline": "mean"} | PLAIN, "baseline_steps above 1 needs baseline="),
    ({"gradient_noise": True, "num_envs": 1}, "gradient_noise=True needs num_envs of at least 2"),
    ({"baseline": "loo", "num_envs": 1} | PLAIN, "baseline='loo' needs num_envs of at least 2"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=lambda x: str(x)[:40])
def test_bad_values(changes, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        Config(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("lr", "Config has no 'lr'; here it is policy_lr and baseline_lr"),
        ("ENV_NAME", "Config has no 'ENV_NAME'; here it is env$"),
        ("total_steps", r"here it is with_total_steps\(config, 1_000_000\)"),
        ("vf_coef", "here it is baseline_lr, or baseline_coef where one network gives both"),
        ("total_timesteps", r"here it is with_total_steps\(config, 1_000_000\)"),
        ("seed", r"the key of train: jax.random.key\(seed\)"),
        ("num_env", "Config has no 'num_env'; did you mean 'num_envs'"),
    ],
)
def test_names_of_other_libraries_are_known(name, message):
    with pytest.raises(TypeError, match=message):
        Config(**{name: 1})
    with pytest.raises(TypeError, match=message):
        Config().replace(**{name: 1})


def test_a_configuration_shows_what_differs_and_that_makes_it_again():
    config = Config(env="Pendulum-v1", env_params={"g": 9.0}, hidden_sizes=[8], policy_lr=0.1)
    expected = "Config(env='Pendulum-v1', env_params={'g': 9.0}, hidden_sizes=(8,), policy_lr=0.1)"
    assert repr(config) == expected
    assert eval(expected) == config
    assert repr(Config()) == "Config()"
    assert "\n" not in repr(config.replace(policy_lr=np.ones((40, 2))))


def test_numbers_are_brought_to_their_type():
    config = Config(gamma=1, hidden_sizes=[32, 16], max_grad_norm=float("inf"))
    assert (type(config.gamma), config.hidden_sizes) == (float, (32, 16))
    assert hash(config) == hash(Config(gamma=1.0, hidden_sizes=(32, 16)))


def test_parameters_of_the_environment_are_a_table(tmp_path):
    config = Config(env_params={"gravity": 12.0, "max_steps_in_episode": 9, "dense": True})
    path = tmp_path / "config.toml"
    write_config(path, config, 1)
    assert "[env_params]\ndense = true\ngravity = 12.0\nmax" in path.read_text()
    loaded, _ = load_config(path)
    assert loaded == config
    assert {name: type(x) for name, x in loaded.env_params.items()} == {
        "dense": bool, "gravity": float, "max_steps_in_episode": int,
    }  # fmt: skip
    assert hash(loaded) == hash(config)
    assert copy.deepcopy(config) == pickle.loads(pickle.dumps(config)) == config


def test_parameters_of_the_environment_stay_as_they_are():
    given = {"gravity": 12.0}
    config = Config(env_params=given)
    given["gravity"] = 1.0
    for change in (config.env_params.__setitem__, config.env_params.setdefault):
        with pytest.raises(TypeError, match="make another Config"):
            change("gravity", 1.0)
    assert config.env_params == {"gravity": 12.0}


@pytest.mark.parametrize("name", PRESETS)
def test_files_round_trip(name, tmp_path):
    config = replace(preset(name), policy_lr=1e-3, block_rows=7)
    path = tmp_path / "config.toml"
    write_config(path, config, 3)
    assert load_config(path) == load_config(str(path)) == (config, 3)
    path.write_text("num_envs = 3")
    assert load_config(path) == (Config(num_envs=3), None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("polcy_lr = 0.1", "unknown field 'polcy_lr'; did you mean 'policy_lr'"),
        ("num_envs = 0", "num_envs must lie between 1 and 2147483647, not 0"),
        ("seed = 'x'", "seed must be a whole number, not 'x'"),
        ("seed = -1", "seed must lie between 0 and 4294967295, not -1"),
        ("num_envs = ", "is not TOML: Invalid value"),
        (b"\xff\xfe", "is not TOML"),
    ],
)
def test_bad_toml(text, message, tmp_path):
    path = tmp_path / "bad.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as error:
        load_config(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_what_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: not a regular file"):
        load_config(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"nowhere\.toml: No such file"):
        load_config(tmp_path / "nowhere.toml")
