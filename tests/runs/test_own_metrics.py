"""A function of the user's own makes further metrics of each update, and changes nothing else."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from purejaxrl_reinforce import load_run, load_sweep, resume_run, sweep, train, train_run
from purejaxrl_reinforce.algorithm.reinforce import collect, init
from purejaxrl_reinforce.cli.main import main
from tests.support.runs import TINY, error_of, trained


def choices(config, state, trajectory):
    share = jnp.mean(trajectory.action, where=trajectory.valid)
    return {"share": share, "cost": config.gamma * share, "lanes": state.lanes.obs.shape[0]}


def test_they_are_in_memory_in_files_and_in_resumed_runs(finished_run, tmp_path, monkeypatch):
    seen, config = [], TINY.replace(metrics=choices)
    path = train_run(config, 1, tmp_path / "run", callback=lambda *x: seen.append(x)).path
    (table, params), (plain, plain_params) = trained(path), trained(finished_run)
    assert table.drop(columns=["cost", "lanes", "share"]).equals(plain)
    jax.tree.map(np.testing.assert_array_equal, params, plain_params)
    played = jax.jit(collect)(TINY, init(TINY, jax.random.key(1)))[2]
    np.testing.assert_allclose(seen[0][1]["share"][0], played.action[played.valid].mean())
    resume_run(path, 8)
    _, metrics = train(config.replace(num_updates=8), jax.random.key(1))
    for name, values in metrics.own.items():
        np.testing.assert_array_equal(load_run(path).metrics[name], np.float64(values))
    monkeypatch.setattr(f"{__name__}.choices", lambda *_: {"share": 0})
    jax.clear_caches()  # as in another process
    with pytest.raises(ValueError, match="other metrics of your own: cost, lanes, share, here sh"):
        resume_run(path, 9)
    assert load_run(path).num_updates == 8


def test_they_are_in_sweeps_and_extracted_agents(tmp_path):
    axes, run = {"policy_lr": [0.01, 0.1], "metrics": ["none", choices]}, tmp_path / "run"
    path = sweep(TINY, 2, axes, path=tmp_path / "sweep", num_episodes=2).path
    share = load_sweep(path).metrics["share"]
    assert np.isnan(share).all(axis=(1, 2)).tolist() == [True, False] * 2
    assert main(["extract", str(path), "--setting=3", "--seed=1", f"--run-dir={run}"]) == 0
    np.testing.assert_array_equal(load_run(run).metrics["share"], share[3, 1])


WRONG = {
    "{'finite': 1}": "ValueError: 'finite' is the name of another metric or column",
    "{'x y': 1}": "TypeError: they must be a dict of numbers by name, not {'x y': 1}",
    "{'x': trajectory.reward}": "TypeError: 'x' must be one number, and has the shape (20, 8)",
    "1": "TypeError: they must be a dict of numbers by name, not 1",
    "{'x': 1 / 0}": "ZeroDivisionError: division by zero (wrong.py, line 1)",
}


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("verb", [["train", "--run-dir"], ["sweep", "--sweep-dir"]], ids=str)
def test_what_is_wrong_is_said_in_a_line(value, verb, tmp_path, monkeypatch, capsys):
    (tmp_path / "wrong.py").write_text(f"own = lambda config, state, trajectory: {value}")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "wrong", raising=False)
    options = ["--metrics=wrong:own", "--num-envs=8", "--num-steps=20"]
    error = error_of([*verb, str(tmp_path / "out"), *options], capsys)
    assert error.replace(f"{tmp_path}/", "") == f"metrics 'wrong:own' fail: {WRONG[value]}\n"
    assert not (tmp_path / "out").exists()
