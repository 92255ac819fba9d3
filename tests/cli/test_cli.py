"""The command line: its files, its messages and its errors."""

import re
from pathlib import Path

import jax
import numpy as np
import pandas
import pytest

import tests.support.probes  # noqa: F401  registers the probes
from purejaxrl_reinforce import Config, train
from purejaxrl_reinforce.cli.main import _parse, main
from purejaxrl_reinforce.cli.options import ConfigOptions
from purejaxrl_reinforce.config_file import load_config, load_run_config
from purejaxrl_reinforce.output.sealed import load_arrays, save_arrays
from purejaxrl_reinforce.presets import PRESETS, Preset, preset
from purejaxrl_reinforce.runs.reporter import _solved
from purejaxrl_reinforce.runs.saved_run import SavedRun, load_run
from tests.support.runs import FILES, assert_same_run, error_of, train_run, write_config

TINY = ["--num-envs", "8", "--num-updates", "6", "--num-steps", "50", "--hidden-sizes", "8"]


@pytest.fixture
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "run"
    return train_run(path, *TINY, "--seed", "5", "--policy-lr", "1e-2")


def test_a_run_leaves_its_files(run_dir):
    assert {path.name for path in run_dir.iterdir()} == FILES
    config, seed = load_config(run_dir / "config.toml")
    assert (seed, config.num_envs, config.hidden_sizes, config.policy_lr) == (5, 8, (8,), 1e-2)
    assert (run_dir / "rewards.png").read_bytes().startswith(b"\x89PNG")


def test_metrics_are_a_table(run_dir):
    table = pandas.read_csv(run_dir / "metrics.csv")
    np.testing.assert_array_equal(table["update"], np.arange(1, 7))
    np.testing.assert_array_equal(table["env_steps"], table["num_steps"].cumsum())
    np.testing.assert_allclose(np.load(run_dir / "rewards.npy"), table["mean_return"])
    assert (table["seconds"].diff().dropna() >= 0).all()
    assert (table["min_return"] <= table["mean_return"]).all()
    columns = {"policy_loss", "baseline_loss", "entropy", "policy_grad_norm", "num_episodes",
               "baseline_grad_norm", "explained_variance", "min_length", "max_length"}  # fmt: skip
    assert columns <= set(table.columns)
    assert table[list(columns)].notna().all(axis=None)


def test_a_config_file_repeats_the_run_exactly_and_options_change_it(run_dir, tmp_path):
    repeat = ["--config", str(run_dir / "config.toml")]
    assert_same_run(run_dir, train_run(tmp_path / "again", *repeat))
    start = _parse(["train", *repeat, "--policy-lr", "0.5"]).start
    assert start.load() == (load_run_config(run_dir)[0].replace(policy_lr=0.5), 5)
    assert start.load(seed=1)[1] == 1


def test_results_are_those_of_the_library(run_dir):
    config, params = load_run(run_dir).config, load_run(run_dir).params
    state, metrics = train(config, jax.random.key(5))
    np.testing.assert_allclose(
        np.load(run_dir / "rewards.npy"), metrics.mean_return, rtol=1e-4, equal_nan=True
    )
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4), params, state.params)


def test_evaluate_prints_its_statistics(run_dir, capsys):
    assert main(["evaluate", str(run_dir)]) == 0
    assert main(["evaluate", str(run_dir), "--sample", "--num-episodes", "7", "--seed", "3"]) == 0
    greedy, sampled = capsys.readouterr().out.splitlines()
    for episodes, line in (("100 greedy", greedy), ("7 sampled", sampled)):
        assert all(x in line for x in (episodes, "mean", "standard deviation", "min", "max"))


def test_each_run_finds_its_own_place_and_quiet_is_quiet(in_tmp, capsys):
    assert main(["train", *TINY]) == 0
    (run,) = (in_tmp / "runs").iterdir()
    captured = capsys.readouterr()
    start = "CartPole-v1 on cpu: 8 lanes, 6 updates, seed 0; compiling\n"
    assert captured.out.startswith(start)
    assert f"runs/{run.name}: checkpoints, config.toml, fingerprint.json, machine" in captured.out
    assert all(word in captured.out for word in ("training return", "SPS", "params.npz"))
    assert captured.err.splitlines()[-1].startswith("update 6/6 ")
    assert all(word in captured.err for word in ("return", "SPS", "left"))
    assert main(["train", *TINY, "--quiet"]) == 0
    assert len(list((in_tmp / "runs").iterdir())) == 2
    assert capsys.readouterr() == ("", "")


BAD = [
    (["train", "--env", "CartPole-v9"], "unknown environment 'CartPole-v9'; did you mean 'CartP"),
    (["train", "--hidden-sizes", "64", "0"], "hidden_sizes must lie between 1"),
    (["train", "--preset", "clasic"], "unknown preset 'clasic'; .* did you mean 'classic"),
    (["train", "--preset", ""], "an argument is empty: purejaxrl-reinforce train --preset"),
    (["train", "--run-dir="], "an argument is empty: .* --run-dir="),
    (["train", "--run-dir", "\x1b[31mred"], r"the argument '\\x1b\[31mred' has characters that"),
    (["train", "--run-dir", "caf\udce9"], r"the argument 'caf\\udce9' has characters that"),
    (["train", "--run-dir", "made/" + "é" * 128 + "/run"], "File name too long"),
    (["train", "--hidden-sizes", "60000", "60000"], "does not fit: .* GB .* try .*hidden_sizes"),
    (["train", "--config", "nowhere.toml"], "nowhere.toml: No such file"),
    (["train", "--config", "bad.toml", "--preset", "classic"], "--preset or --config, not both"),
    (["train", "--run-dir", "full"], "full exists and is not empty"),
    (["train", "--run-dir", "full", "--force"], "--force overwrites only .* full is not a run dir"),
    (["train", "--resume", "half", "--force"], "give --resume or --force, not both"),
    (["plot", "half", "--out", "full", "--force"], "must end in"),
    (["train", "--run-dir", "bad.toml/run"], "bad.toml exists and is not a directory"),
    (["train", "--resume", "full"], "full is not a run directory: it has no config.toml"),
    (["train", "--resume", "nowhere"], "nowhere is not a run directory: it has no config.toml"),
    (["train", "--resume", "half", "--run-dir", "x"], "give --resume or --run-dir, not both"),
    (["evaluate", "half"], "half holds no trained parameters"),
    (["evaluate", "nan"], "nan/params.npz is damaged: it holds numbers that are not finite"),
    (["evaluate", "other"], "params.npz does not fit the networks of config.toml"),
    (["evaluate", "half", "--num-episodes", "0"], "episodes must lie between 1 and"),
    (["train", "--polcy-lr", "1"], "train does not take --polcy-lr; did you mean '--policy-lr"),
    (["train", "--lr", "1"], "does not take --lr, which is here --policy-lr and --baseline-lr$"),
    (["train", "--device", "gpu"], "which is here the environment variable JAX_PLATFORMS, as in"),
    (["bench", "--platform", "gpu"], "does not take --platform, which is here the environment"),
    (["train", "--total-timesteps", "9"], "which is here --total-steps$"),
    (["train", "--total-steps", "9"], "total_steps must be at least 32,000, an update's, not 9"),
    (["train", "--total-steps=9", "--num-updates=3"], "--num-updates or --total-steps, not both"),
    (["train", "--n_envs=3"], "does not take --n_envs=3, which is here --num-envs$"),
    (["tain"], "unknown verb 'tain'; verbs are train, sweep, "),
    (["train", "--num-envs", "x"], "^--num-envs: invalid .* 'x'; write --num-envs INT$"),
    (["bench", "--compare", "x"], "^--compare: invalid value 'x'; write --compare OLD NEW$"),
    (
        ["train", "--num-steps", "1.5"],
        "invalid value '1.5'; write --num-steps INT or None$",
    ),
    (["train", "--num-envs"], "^Missing value for argument '--num-envs'. Expected 1 values.$"),
    (["train", "--rollout", "strem"], "invalid choice 'strem' .* one of .'episodes', 'stream'."),
    (["evaluate"], "^Missing from purejaxrl-reinforce evaluate: RUN "),
    (["evaluate", "bad.toml"], "bad.toml is not a run directory"),
    (["export", "half", "--out", "full"], "--out must end in .npz or .safetensors, not 'full'"),
    (["video", "half", "--out", "full/a/b.gif", "--force"], "half holds no trained parameters"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD]
)
def test_bad_input_is_one_line_and_exit_code_2(arguments, message, in_tmp, run_dir, capsys):
    (in_tmp / "bad.toml").write_text("nun_envs = 3\n")
    (in_tmp / "full").mkdir()
    (in_tmp / "full" / "kept.txt").write_text("kept")
    config, seed, owner = load_run_config(run_dir)
    for name in ("half", "nan", "other"):
        (in_tmp / name).mkdir()
        (in_tmp / name / "config.toml").write_bytes((run_dir / "config.toml").read_bytes())
    arrays = load_arrays(run_dir / "params.npz")
    spoiled = {name: np.full_like(x, np.nan) for name, x in arrays.items()}
    save_arrays(in_tmp / "nan" / "params.npz", spoiled, owner)
    write_config(in_tmp / "other" / "config.toml", config.replace(hidden_sizes=(9,)), seed)
    save_arrays(in_tmp / "other" / "params.npz", arrays, load_run_config(in_tmp / "other")[2])
    before = sorted(in_tmp.rglob("*"))
    error = error_of(arguments, capsys)
    assert re.search(message, error), error
    assert sorted(in_tmp.rglob("*")) == before


def test_non_finite_rewards_stop_training_at_once(in_tmp, capsys):
    assert main(["train", *TINY, "--env", "NanReward-probe", "--quiet", "--run-dir", "run"]) == 1
    assert capsys.readouterr().err.startswith("error: update 1 is not finite: ")
    assert not (in_tmp / "run").exists()  # there is nothing to save


OWN_NETWORK = """
import flax.linen as nn, jax

class Net(nn.Module):
    num_outputs: int

    @nn.compact
    def __call__(self, obs):
        {}
        return nn.Dense(self.num_outputs)(obs)
"""
# Parameters of the batch's size pass the check, which has two rows; so does what is not run there.
LATER = [
    ('self.param("weights", nn.initializers.ones, len(obs))', "ScopeParamShapeError: For"),
    ("jax.debug.callback(lambda x: 1 / 0, obs)", "ZeroDivisionError: division by zero"),
]


@pytest.mark.parametrize(("line", "message"), LATER)
def test_what_own_code_raises_later_is_a_line(line, message, in_tmp, capsys, monkeypatch):
    name = f"raises_{message[:4].lower()}"
    (in_tmp / f"{name}.py").write_text(OWN_NETWORK.format(line))
    monkeypatch.syspath_prepend(in_tmp)
    command = ["train", *TINY, "--network", f"{name}:Net", "--run-dir", "run", "--quiet"]
    assert re.match(rf"{message}.*{name}.py, line 9\)", error_of(command, capsys))
    assert not (in_tmp / "run").exists()
    monkeypatch.setenv("PUREJAXRL_REINFORCE_TRACEBACK", "1")
    with pytest.raises(Exception, match=message.partition(": ")[2]):
        main(command)


def test_help_lists_every_field_with_its_default(capsys):
    assert main(["train", "--help"]) == 0
    text = capsys.readouterr().out
    assert "--platform" not in text  # which users would take for a choice of devices
    for name, value in vars(preset("cartpole")).items():
        if name == "platform":
            continue
        option = f"--{name.replace('_', '-')}"
        default = re.search(rf"(?ms)^\W{{1,2}}{option}\b.*?\(default:(.*?)\)", text)[1]
        expected = "64" if name == "hidden_sizes" else str(value)
        assert re.sub(r"[│|\s]", "", default) == expected, name
    assert "Learning rate of the policy network's Adam." in text


def test_alone_it_introduces_itself_and_says_its_version_and_completes(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.count("  purejaxrl-reinforce ") == 3
    assert len(out.splitlines()) < 12
    assert main(["--version"]) == 0
    assert re.fullmatch(r"purejaxrl-reinforce \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)
    assert main(["--tyro-print-completion", "bash"]) == 0
    assert "\n  complete -F " in capsys.readouterr().out


def test_an_environment_has_its_own_preset(monkeypatch):
    own = Preset(preset("cartpole").replace(env="Acrobot-v1", num_envs=3), "for this test")
    monkeypatch.setitem(PRESETS, "acrobot", own)

    def parsed(*options):
        return _parse(["train", *options]).start

    assert parsed("--env", "Acrobot-v1").load() == (own.config, 0)
    assert parsed("--env", "Acrobot-v1", "--preset", "cartpole").load()[0].num_envs == 64
    assert parsed("--env", "CartPole-v0").preset_name == "cartpole"


def test_options_change_the_preset_and_only_what_they_name():
    options = "--preset pendulum --num-steps None --rollout episodes --hidden-sizes --no-anneal"
    start = _parse(["train", *options.split(), "--env-params", "g=9.5", "m=2"]).start
    fields = {"num_steps": None, "rollout": "episodes", "hidden_sizes": (), "anneal": False}
    expected = preset("pendulum").replace(env_params={"g": 9.5, "m": 2}, **fields)
    assert start.load(seed=3) == (expected, 3)


def test_an_untuned_environment_is_said_in_one_line(capsys):
    start = _parse(["train", "--env", "MountainCar-v0"]).start
    start.warn_if_untuned(start.load()[0])
    warning = "warning: preset cartpole was tuned for CartPole-v1, .*MountainCar.*\n"
    assert re.fullmatch(warning, capsys.readouterr().err)
    ConfigOptions().warn_if_untuned(Config())
    assert capsys.readouterr().err == ""


def test_the_end_says_whether_it_is_solved():
    columns = {
        "mean_return": np.array([20.0, 480, 490, 500]),
        "env_steps": np.array([10.0, 20, 1230, 1300]),
        "seconds": np.array([1.0, 2, 3, 4]),
    }
    result = SavedRun(Path(), preset("cartpole"), 0, "owner")
    result.metrics = columns
    assert _solved(result).startswith("solved (475) in update 2, after 20 steps and 2.0 s; ")
    result.metrics = {name: column[:1] for name, column in columns.items()}
    assert "not solved" in _solved(result)
    result.config = Config(env="Catch-bsuite")
    assert _solved(result) is None


def facts(*arguments):
    """Return what several processes compare before they train."""
    return _parse(arguments).shared()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (["--seed", "1"], "seed"),
        (["--policy-lr", "0.5"], "policy_lr"),
        (["--checkpoint-every", "3"], "checkpoint_every"),
        (["--preset", "classic"], "preset"),
        (["--wandb"], "wandb"),
        (["--resume", "run"], "the verb"),
    ],
)
def test_another_option_is_another_fact(options, name):
    assert facts("train").get(name) != facts("train", *options)[name]


def test_where_a_process_reads_writes_and_prints_is_its_own():
    others = ["--quiet", "--run-dir", "x", "--process-id=1", "--coordinator", "a:1"]
    assert facts("train") == facts("train", *others)
    first = facts("train", "--resume", "seen", "--num-updates", "9")
    assert first == facts("train", "--resume", "unseen", "--num_updates=9")
    assert {"the verb", "the version of python", "the version of jax"} <= set(first)
