"""The verb `sweep` as its users meet it; how they say what is swept, and what is refused."""

import re
import signal

import numpy as np
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import _parse, main
from purejaxrl_reinforce.cli.sweep import parse_axes
from purejaxrl_reinforce.sweeps.plan import log_range, make_plan, make_settings
from purejaxrl_reinforce.sweeps.results import load_sweep
from tests.support.configs import TEXTBOOK
from tests.support.processes import Command, wait_until
from tests.support.runs import error_of
from tests.support.sweeps import TINY, slices_of, sweep_into


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--axis", "policy_lr=0.1,0.2", "--axis", "gamma=0.9", "--zip"], "equally many values"),
        (["--axis", "env=CartPole-v1,CartPole-v9"], "CartPole-v9"),
        (["--num-seeds", "10", "--seed", "4294967290"], "seed must lie between 0 and 4294967295"),
        (["--slice-size", "0"], "slice_size must be at least 1 agent, not 0"),
        (["--num-episodes", "0"], "at least 1 episode, not 0"),
        (["--num-seeds", "4000000000"], "at most 1,000,000 agents, not 4,000,000,000"),
        (["--num-seeds", "1000000", "--num-updates", "1000000"], "do not fit into memory"),
        (["--axis", "num_envs=8,1000000000000"], "num_envs must lie between"),
        (["--sweep-dir", "/dev/null/sweep"], "/dev/null"),
        (["--wandb-tags", "a"], "--wandb-tags needs --wandb"),
    ],
)
def test_bad_input(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in error_of(["sweep", *arguments], capsys)
    assert not any(tmp_path.iterdir())


def test_a_new_directory_for_each_sweep(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([*TINY, "--seed", "3"]) == 0
    (path,) = (tmp_path / "sweeps").iterdir()
    assert path.name.startswith("CartPole-v1-")
    assert load_sweep(path).seeds == [3, 4]
    captured = capsys.readouterr()
    assert "1 setting with 2 seeds, 1 program to compile" in captured.out
    best = r"best greedy return so far [\d.]+ \(too few seeds\), 2 seeds"
    assert re.search(rf"2/2 agents  [\d,]+ SPS  {best}", captured.err)


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_stops_it_and_a_rerun_finishes(number, tmp_path, capsys):
    path = tmp_path / "s"
    arguments = [*TINY, "--num-seeds", "300"]
    process = Command(*arguments, "--sweep-dir", path, directory=tmp_path)
    wait_until(lambda: slices_of(path), process)
    process.send_signal(number)
    code, _, error = process.wait()
    assert code == 128 + number, error
    again = "rerun the same sweep command to finish"
    assert re.search(rf"interrupted by {number.name}; \d+ of 300 agents are in .*s; {again}", error)
    assert "Traceback" not in error
    done = len(slices_of(path))
    assert 1 <= done < 150
    sweep_into(path, arguments)
    assert capsys.readouterr() == ("", "")
    assert f"{2 * done} agents already trained" in (path / "sweep.log").read_text()
    assert np.isfinite(load_sweep(path).scores).all()


@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        ("policy_lr=0.01,3e-2", "policy_lr", [0.01, 0.03]),
        ("--num-envs=8, 16", "num_envs", [8, 16]),
        ("num_steps=none,50", "num_steps", [None, 50]),
        ("baseline=value,none", "baseline", ["value", "none"]),
        ("anneal=true,False", "anneal", [True, False]),
        ("hidden_sizes=[64],[64,32],[]", "hidden_sizes", [[64], [64, 32], []]),
        ("max_grad_norm=0.5,inf", "max_grad_norm", [0.5, float("inf")]),
        ("env-params.memory_length=2,5", "env_params.memory_length", [2, 5]),
        ("env_params.gravity=5,9.8", "env_params.gravity", [5.0, 9.8]),
    ],
)
def test_values_are_read_by_the_kind_of_their_field(text, name, values):
    assert parse_axes([text]) == {name: values}


def test_a_log_range_has_its_ends_and_equal_ratios():
    values = parse_axes(["policy_lr=log:0.001:0.1:5"])["policy_lr"]
    assert (len(values), values[0], values[-1]) == (5, 0.001, 0.1)
    ratios = np.divide(values[1:], values[:-1])
    np.testing.assert_allclose(ratios, 100**0.25, rtol=1e-12)
    assert values == log_range(0.001, 0.1, 5)


def test_the_last_field_varies_fastest_and_zipped_values_go_together():
    axes = {"policy_lr": [0.1, 0.2], "num_envs": [4, 8]}
    grid = [(0.1, 4), (0.1, 8), (0.2, 4), (0.2, 8)]
    for zipped, expected in ((False, grid), (True, [(0.1, 4), (0.2, 8)])):
        settings = make_settings(Config(), axes, zipped)
        assert [(c.policy_lr, c.num_envs) for c in settings] == expected


@pytest.mark.parametrize("values", ["log:5:20:4", "5,9.8,20", "5,20"])
def test_parameters_of_the_environment_share_a_program(values):
    axes = parse_axes([f"env_params.gravity={values}", "env_params.length=0.5,0.7"])
    config = Config(num_updates=1, env_params={"masscart": 2, "max_steps_in_episode": 9})
    plan = make_plan(config, range(2), axes, False, 1)
    assert len(plan.programs) == 1
    gravities = {setting.env_params["gravity"] for setting in plan.configs}
    assert sorted(gravities) == list(plan.axes["env_params.gravity"])
    assert all(setting.env_params["masscart"] == 2.0 for setting in plan.configs)
    whole = {"env_params.max_steps_in_episode": [5, 9]}  # static
    assert len(make_plan(config, range(2), whole, False, 1).programs) == 2


HUGE = [f"{name}=log:1e-4:0.9:100000" for name in ("policy_lr", "gamma", "trace_lambda")]


@pytest.mark.parametrize(
    ("axes", "seeds", "message"),
    [
        (HUGE, 1, "at most 100,000 settings, not 1,000,000,000,000,000"),
        (["policy_lr=log:1e-4:1:1000"], 1001, "at most 1,000,000 agents, not 1,001,000"),
        ([], 10**7, "at most 1,000,000 agents, not 10,000,000"),
    ],
)
def test_huge_sweeps_are_refused_at_once(axes, seeds, message):
    with pytest.raises(ValueError, match=message):
        make_plan(Config(num_updates=1), range(seeds), parse_axes(axes), False, 1)


@pytest.mark.parametrize(
    ("axis", "option"),
    [
        ("policy_lr=0.1,0.2", ["--policy-lr", "0.02"]),
        ("anneal=true,false", ["--no-anneal"]),
        ("env_params.gravity=5,9", ["--env-params", "gravity=9"]),
    ],
)
def test_an_option_of_a_swept_field_is_refused(axis, option, tmp_path, capsys):
    """Even where it is the default."""
    path = tmp_path / "sweep"
    error = error_of(["sweep", "--axis", axis, *option, "--sweep-dir", str(path)], capsys)
    name = axis.partition("=")[0].replace("_", "-").partition(".")[0]
    assert f"--{name} is also swept: drop it or its --axis" in error
    assert not path.exists()


def test_a_stream_takes_its_steps_from_their_axis():
    verb = _parse(["sweep", "--rollout", "stream", "--axis", "gamma=0.9", "--axis=num_steps=9,20"])
    settings = verb._plan().configs
    assert [setting.num_steps for setting in settings] == [9, 20]


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ({"lr": [1.0]}, "no field 'lr'"),
        ({"policy_lr": 0.1}, "needs a list of values, not 0.1"),
        (["env_params=5,20"], "sweep one parameter of the environment: env_params.NAME"),
        (["env_params.gravity=g"], "gravity must be a number, not 'g'"),
        (["env_params.gravity=5,5.0"], "duplicate setting: env_params.gravity=5.0"),
        (["policy_rl=0.1"], "no field 'policy_rl' to sweep; did you mean 'policy_lr'"),
        (["policy_lr"], "FIELD=VALUE"),
        (["policy_lr=0.1", "policy-lr=0.2"], "policy_lr is swept twice"),
        (["num_envs=log:1:8:4"], "num_envs must be a whole number, not 1.0"),
        (["policy_lr=log:1:2"], "log:LOW:HIGH:NUMBER"),
        (["policy_lr=log:1:2:1"], "between 2 and 100,000 values, not 1"),
        (["policy_lr=0.1,,0.2"], "policy_lr must be a number, not ''"),
        (["hidden_sizes=64,64"], "hidden_sizes must be a list of widths"),
        (["hidden_sizes=[64"], r"must be a list of widths such as \[64\], at most 32, not '\[64'"),
        (["policy_lr="], "the grid is empty: policy_lr has no value"),
        (["policy_lr=fast"], "policy_lr must be a number, not 'fast'"),
        (["baseline=valeu"], "baseline must be one of .*did you mean 'value'"),
        (["anneal=maybe"], "anneal must be true or false"),
        (["policy_lr=0.1,0.1"], "duplicate setting: policy_lr=0.1"),
        (["baseline=loo", "num_envs=1,2"], "baseline='loo' needs num_envs"),
    ],
)
def test_what_is_wrong_is_said(axes, message):
    with pytest.raises(ValueError, match=message):
        make_settings(TEXTBOOK, parse_axes(axes) if isinstance(axes, list) else axes, zipped=False)
