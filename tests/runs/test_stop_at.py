"""Training ends after the update that reaches `stop_at`, and nothing changes any more."""

import jax
import numpy as np

from purejaxrl_reinforce import load_run, load_sweep, sweep, train
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.sweeps import population
from tests.support.runs import TINY, train_run, trained


def is_empty(values):
    return (np.isnan(values) | (values == 0)).all()


def test_a_run_ends_and_more_updates_do_not_make_it_go_on(finished_run, tmp_path, capsys):
    table, states = trained(finished_run)[0], load_run(finished_run).checkpoints()
    number = int(table["mean_return"][:-1].argmax()) + 1
    best = float(table["mean_return"][number - 1])

    def assert_stopped(state):
        state = state._replace(key=jax.random.key_data(state.key), mean_return=None)
        jax.tree.map(np.testing.assert_array_equal, state, states[number - 1])

    config = f"{finished_run}/config.toml"
    path = train_run(tmp_path / "run", "--config", config, "--stop-at", str(best))
    assert_stopped(load_run(path).state)
    assert main(["train", "--resume", str(path), "--num-updates", "40"]) == 0
    out = capsys.readouterr().out
    assert f"stopped after update {number}, which reached stop_at={best:g}\n" in out
    assert "--num-updates N" not in out
    assert_stopped(load_run(path).state)
    assert trained(path)[0].equals(table[:number])
    state, metrics = train(TINY.replace(stop_at=best), jax.random.key(1))
    assert_stopped(state)
    assert metrics.mean_return[:number].tolist() == table["mean_return"][:number].tolist()
    assert all(is_empty(values[number:]) for values in metrics.by_name().values())


def test_in_a_sweep_each_agent_ends_for_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(population.Population, "longest_call", 4)  # which takes several calls
    axes, path = {"stop_at": [None, 19.0], "policy_lr": [3e-2, 1e38]}, tmp_path / "sweep"
    results = sweep(TINY.replace(num_updates=9), [1, 2, 3], axes, path=path, num_episodes=2)
    enough = results.metrics["mean_return"][0] >= 19
    ends = np.where(enough, np.arange(9), 8).min(axis=1) + 1
    assert min(ends) < 9
    assert results.updates[:3].tolist() == [[9] * 3, [9] * 3, ends.tolist()]
    for values in results.metrics.values():
        for whole, stopped, end in zip(values[0], values[2], ends, strict=True):
            np.testing.assert_array_equal(stopped[:end], whole[:end])
            assert is_empty(stopped[end:])
    assert np.isfinite(results.ranking()["worst"]).sum() == 2  # a learning rate diverges
    assert len(results.to_pandas().query("setting == 2")) == ends.sum()
    assert load_sweep(path).updates.tolist() == results.updates.tolist()
    run = str(tmp_path / "run")
    assert main(["extract", str(path), "--setting=2", "--seed=1", "--run-dir", run]) == 0
    assert load_run(run).num_updates == ends[0]
