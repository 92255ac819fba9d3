"""Runs and agents of sweeps read back in Python, and what is made of them."""

import shutil

import jax
import numpy as np
import pytest
from matplotlib.figure import Figure

from purejaxrl_reinforce import export, load_run, load_sweep, plot, resume_run, step, train_run
from purejaxrl_reinforce.sweeps.command import extract_agent
from tests.support.runs import TINY


def assert_equal(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_a_run_has_all_that_was_trained(finished_run):
    run = load_run(str(finished_run))
    assert (run.config, run.seed) == (TINY, 1)
    assert len(run.metrics["mean_return"]) == TINY.num_updates
    assert_equal(run.params, run.state.params)
    state, _ = step(run.config, run.state)
    assert int(state.update) == TINY.num_updates + 1


def test_a_directory_without_checkpoints_has_no_state(tmp_path, finished_run):
    for name in ("config.toml", "params.npz"):
        (tmp_path / name).write_bytes((finished_run / name).read_bytes())
    run = load_run(tmp_path)
    with pytest.raises(ValueError, match="has no checkpoint yet"):
        _ = run.state
    with pytest.raises(ValueError, match=r"metrics\.csv"):
        _ = run.metrics


def test_parameters_of_any_type_and_name_come_back(tmp_path):
    config = TINY.replace(network="tests.support.networks:HalfPrecision", num_updates=2)
    result = train_run(config, 1, tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert_equal(run.params, result.params)
    assert {x.dtype.name for x in jax.tree.leaves(run.params.policy)} == {"bfloat16"}
    assert_equal(run.state.params, result.params)


def test_resuming_needs_the_directory_alone(tmp_path, finished_run):
    run = shutil.copytree(finished_run, tmp_path / "run")
    seen = []
    result = resume_run(
        run,
        num_updates=TINY.num_updates + 2,
        callback=lambda update, metrics: seen.append((update, metrics["mean_return"])),
    )
    assert seen[-1][0] == TINY.num_updates + 2
    returns = np.concatenate([returns for _, returns in seen])
    np.testing.assert_array_equal(returns, result.metrics["mean_return"][-2:])
    assert result.num_updates == TINY.num_updates + 2
    assert_equal(result.params, load_run(run).params)


def test_a_sweep_has_the_parameters_of_any_agent(tmp_path, finished_sweep):
    results = load_sweep(str(finished_sweep))
    seed = results.seeds[1]
    extract_agent(finished_sweep, 2, seed, tmp_path / "agent")
    assert_equal(results.params(2, seed), load_run(tmp_path / "agent").params)
    with pytest.raises(ValueError, match="no seed 4294967295"):
        results.params(0, 2**32 - 1)


def test_functions_return_figures_and_paths(tmp_path, finished_run):
    assert isinstance(plot(str(finished_run), smooth=2), Figure)
    path = export(str(finished_run), str(tmp_path / "policy.npz"))
    assert "out/kernel" in np.load(path)
    with pytest.raises(
        ValueError, match="x must be one of env_steps, seconds, update, not 'steps'"
    ):
        plot(finished_run, x="steps")
