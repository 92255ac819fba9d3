"""Greedy returns during training: they are those of `evaluate`, and change nothing else."""

import functools
import shutil

import jax
import numpy as np
import pandas
import pytest

from purejaxrl_reinforce import RunOptions, evaluate, load_run, resume_run, sweep, train_run
from purejaxrl_reinforce.algorithm.evaluate import greedy_return
from purejaxrl_reinforce.algorithm.lanes import key_shape
from purejaxrl_reinforce.algorithm.reinforce import init
from purejaxrl_reinforce.algorithm.setup import make_setup
from purejaxrl_reinforce.figures.curves import Runs, learning_curves
from purejaxrl_reinforce.runs.loggers import _grouped
from tests.support.runs import TINY, assert_same_run, trained

CONFIG, SEED = TINY.replace(eval_every=2, eval_episodes=5), 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a checkpoint of each update."""
    path = tmp_path_factory.mktemp("runs") / "run"
    train_run(CONFIG, SEED, path, RunOptions(checkpoint_every=1, keep=CONFIG.num_updates))
    return path


def test_training_keeps_its_bits(run, finished_run):
    (table, params), (plain, plain_params) = trained(run), trained(finished_run)
    for name, array in plain_params.items():
        np.testing.assert_array_equal(params[name], array)
    pandas.testing.assert_frame_equal(
        table.drop(columns="eval_return"), plain.drop(columns="eval_return"), check_exact=True
    )
    assert plain["eval_return"].isna().all()


def test_every_second_update_has_the_mean_of_evaluate(run):
    returns = load_run(run).metrics["eval_return"]
    states = load_run(run).checkpoints()
    np.testing.assert_array_equal(np.isnan(returns), [True, False] * 3)
    for state in states[1::2]:
        key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.update)
        played = evaluate(CONFIG, state.params, key, CONFIG.eval_episodes).episode_return
        np.testing.assert_allclose(returns[int(state.update) - 1], played.mean(), rtol=1e-6)
    assert len(set(returns[1::2])) > 1


def test_a_resumed_run_has_the_same_returns(run, tmp_path):
    again = shutil.copytree(run, tmp_path / "run")
    for update in (4, 5, 6):
        (again / "checkpoints" / f"{update:09}.npz").unlink()
    resume_run(again)
    assert_same_run(again, run)


def test_they_are_drawn(run):
    metrics = load_run(run).metrics
    returns = metrics["eval_return"][1::2]
    (axes,) = learning_curves([Runs(CONFIG, [SEED], [metrics])], "update").axes
    (marks,) = (line for line in axes.lines if line.get_label() == "greedy return")
    assert marks.get_linestyle() == "None"
    np.testing.assert_array_equal(marks.get_xydata(), np.c_[[2, 4, 6], returns])


def test_loggers_leave_out_updates_without_one():
    metrics = {"eval_return": np.nan, "mean_return": 1.0}
    assert _grouped(metrics) == {"train/mean_return": 1.0}
    assert _grouped({"eval_return": 2.0}) == {"eval/eval_return": 2.0}


def test_agents_side_by_side_play_in_those_updates_only():
    """A condition that is mapped over would become a choice, and both sides be computed."""
    keys = jax.ShapeDtypeStruct((2,), key_shape().dtype)
    states = jax.eval_shape(jax.vmap(functools.partial(init, CONFIG)), keys)
    mapped = jax.make_jaxpr(jax.vmap(functools.partial(greedy_return, make_setup(CONFIG))))(states)
    assert [str(eqn.primitive) for eqn in mapped.eqns].count("cond") == 1


@pytest.mark.slow
def test_an_agent_of_a_sweep_has_those_of_its_run(run):
    results = sweep(CONFIG, [SEED, SEED + 1], num_episodes=1)
    returns = load_run(run).metrics["eval_return"]
    np.testing.assert_allclose(results.metrics["eval_return"][0, 0], returns, rtol=1e-3)
