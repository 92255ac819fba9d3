"""A sweep's agents are runs of their own, however they are trained together."""

import contextlib
import dataclasses
import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import evaluate, sweep, train
from purejaxrl_reinforce.decisions.ranking import ranking_rows
from purejaxrl_reinforce.sweeps import population
from purejaxrl_reinforce.sweeps.plan import make_plan
from purejaxrl_reinforce.sweeps.results import load_sweep
from purejaxrl_reinforce.sweeps.store import saved_sweep
from purejaxrl_reinforce.sweeps.summary import rank
from purejaxrl_reinforce.sweeps.sweep import SweepLoop
from tests.support.configs import TEXTBOOK
from tests.support.processes import ROOT

CONFIG = TEXTBOOK.replace(
    num_envs=4, num_steps=40, num_updates=5, hidden_sizes=(8,), bootstrap=True, baseline_lr=1e-3
)
# Agents diverge at the highest learning rate.
AXES = {"policy_lr": [1e-2, 1e-1, 1e38], "num_envs": [4, 6], "max_grad_norm": [0.1, np.inf]}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """A sweep's directory and results."""
    path = tmp_path_factory.mktemp("sweeps") / "grid"
    return path, sweep(CONFIG, range(3), AXES, path=path, slice_size=4, num_episodes=7)


@pytest.mark.parametrize("setting", range(12))
@pytest.mark.parametrize("seed", [0, 2])
def test_each_agent_is_the_run_of_its_key_alone(swept, setting, seed):
    _, results = swept
    config = results.configs[setting]
    state, metrics = train(config, jax.random.key(seed))
    assert metrics.finite.all() == (config.policy_lr < 1)
    steps = np.cumsum(np.where(metrics.finite, metrics.num_steps, 0))
    for name, values in (metrics.by_name() | {"env_steps": steps}).items():
        np.testing.assert_array_equal(results.metrics[name][setting, seed], values, name)
    episodes = evaluate(config, state.params, jax.random.key(0), 7)
    np.testing.assert_array_equal(results.evaluation[setting, seed], episodes.episode_return)


def test_results_are_read_back(swept):
    path, results = swept
    loaded = load_sweep(path)
    assert loaded.axes == {name: tuple(values) for name, values in AXES.items()} == results.axes
    assert loaded.configs == results.configs
    assert loaded.seeds == [0, 1, 2]
    assert loaded.labels[1] == "policy_lr=0.01, num_envs=4, max_grad_norm=inf"
    np.testing.assert_array_equal(loaded.evaluation, results.evaluation)
    assert results.evaluation.shape == (12, 3, 7)
    for name, values in results.metrics.items():
        assert values.shape == (12, 3, 5)
        np.testing.assert_array_equal(loaded.metrics[name], values)


def test_the_settings_are_strict_json(swept):
    content = json.loads((swept[0] / "sweep.json").read_text())["content"]
    limits = [setting["max_grad_norm"] for setting in content["plan"]["settings"]]
    assert limits == [0.1, "inf"] * 6
    assert content["versions"]["jax"] == jax.__version__


def test_one_compilation_per_static_setting(swept):
    log = (swept[0] / "sweep.log").read_text()
    assert [log.count(text) for text in ("compiled for 18 agents", "compiled for")] == [2, 2]


def test_fewer_updates_are_padded(monkeypatch):
    """And typed keys are used as they are."""
    keys = jax.random.split(jax.random.key(1), 4)
    monkeypatch.setattr(population.Population, "longest_call", 3)  # which takes several calls
    results = sweep(CONFIG, keys, {"num_updates": [2, 5]}, slice_size=4, num_episodes=7)
    assert results.metrics["mean_return"].shape == (2, 4, 5)
    assert np.isnan(results.metrics["mean_return"][0, :, 2:]).all()
    assert not results.metrics["num_steps"][0, :, 2:].any()
    assert not results.metrics["finite"][0, :, 2:].any()
    assert results.metrics["finite"][1].all()
    _, alone = train(CONFIG, keys[3])
    np.testing.assert_array_equal(results.metrics["policy_loss"][1, 3], alone.policy_loss)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (0, "at least 1 seed"),
        (2.0, "keys must be a number, whole numbers or typed keys, not 2.0"),
        ([0, 1.5, 3], "seed must be a whole number, not 1.5"),
        ([0, True], "seed must be a whole number, not True"),
        ([1, 2, 1], "duplicate seed"),
        ([2**32], "seed must lie between 0 and"),
        (jax.random.split(jax.random.key(0, impl="rbg"), 2), "jax's default kind"),
        (jax.random.key(0), "keys"),
    ],
)
def test_keys_that_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        sweep(CONFIG, keys)


def test_axes_without_fields_are_refused():
    with pytest.raises(ValueError, match=r"lists of values by field, not \[0.1\]"):
        sweep(CONFIG, 2, [0.1])


def test_side_by_side_as_on_an_accelerator(swept, monkeypatch):
    """The path of accelerators, vmapped, on the CPU: the same agents up to rounding."""
    monkeypatch.setattr(population, "ONE_BY_ONE", ())
    config = dataclasses.replace(CONFIG, max_grad_norm=0.1)
    axes = {"policy_lr": [1e-2, 1e-1]}
    found = sweep(config, range(2), axes, slice_size=3, num_episodes=7).metrics
    expected = {name: values[[0, 4], :2] for name, values in swept[1].metrics.items()}
    # Before anything is learned, not even rounding differs.
    np.testing.assert_array_equal(found["num_steps"][..., 0], expected["num_steps"][..., 0])
    for name in ("mean_return", "policy_loss", "baseline_loss"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-3, atol=1e-5)


def grown(path, axes, *goals, num_seeds=3):
    """Train a sweep up to one goal (seeds and updates of each setting) after the other."""
    plan = make_plan(CONFIG, range(num_seeds), axes, False, 7)
    nothing = np.zeros_like(plan.goals)
    with contextlib.closing(SweepLoop(dataclasses.replace(plan, goals=nothing), path, 1)) as loop:
        for seeds_of, updates_of in goals:
            is_wanted = np.arange(num_seeds) < np.array(seeds_of)[:, None]
            loop.grow(np.where(is_wanted, np.array(updates_of)[:, None], 0))
            assert list(loop.train())[-1] == ""
            found = load_sweep(path)  # nothing is missing
            np.testing.assert_array_equal(found.updates, loop.results.updates)
    return found


def test_every_setting_gets_a_seed_before_one_gets_the_next(tmp_path):
    """Also where settings need programs of their own; and one that is stopped is a smaller one."""
    plan = make_plan(CONFIG, range(3), {"policy_lr": [0.01, 0.1], "num_envs": [4, 6]}, False, 7)
    loop = SweepLoop(plan, tmp_path / "sweep", 1)
    training = loop.train()
    while loop.results.num_trained < 9:
        next(training)
    loop.close()
    assert loop.results.trained.sum(axis=0).tolist() == [4, 4, 1]
    saved = saved_sweep(tmp_path / "sweep")
    agents = [saved.load(file).agents.tolist() for file in saved.files()]
    first, second = ([[[setting, seed]] for setting in (0, 2, 1, 3)] for seed in (0, 1))
    assert agents == [*first, *second, [[0, 2]]]


def test_settings_that_go_on_have_the_bits_of_those_that_never_stopped(swept, tmp_path):
    """To more seeds and to more updates, with a schedule of the full length."""
    axes = {"policy_lr": AXES["policy_lr"], "max_grad_norm": [0.1]}
    goals = ((1, 1, 1), (5, 1, 1)), ((2, 1, 1), (5, 3, 5)), ((3, 1, 3), (5, 3, 5))
    found, whole = grown(tmp_path / "sweep", axes, *goals), swept[1]
    assert found.updates.tolist() == [[5, 5, 5], [3, 0, 0], [5, 5, 5]]
    for setting, seed in np.argwhere(found.trained):
        updates = found.updates[setting, seed]
        for name, values in whole.metrics.items():
            one = found.metrics[name][setting, seed], values[4 * setting, seed]
            np.testing.assert_array_equal(one[0][:updates], one[1][:updates], name)
            assert name != "mean_return" or np.isnan(one[0][updates:]).all()
        if updates == 5:
            expected = whole.evaluation[4 * setting, seed]
            np.testing.assert_array_equal(found.evaluation[setting, seed], expected)
    agent, same = saved_sweep(tmp_path / "sweep").agent(0, 0), saved_sweep(swept[0]).agent(0, 0)
    jax.tree.map(np.testing.assert_array_equal, agent.state, same.state)


def test_a_merge_takes_only_agents_that_are_further(tmp_path):
    """Of a slice with one that is, and one that is not."""
    plan = make_plan(CONFIG, range(1), {"policy_lr": [0.01, 0.1]}, False, 7)
    path, other = tmp_path / "sweep", tmp_path / "other"
    for into, goals, merged in ((path, (5, 1), []), (other, (3, 3), []), (path, (5, 3), [other])):
        wanted = dataclasses.replace(plan, goals=np.array(goals)[:, None])
        loop = SweepLoop(wanted, into, 2, merged=list(map(saved_sweep, merged)))
        with contextlib.closing(loop):
            list(loop.train())
    saved = saved_sweep(path)
    assert len(saved.files()) == 3
    assert [int(saved.agent(setting, 0).state.update) for setting in (0, 1)] == [5, 3]


def stopping_at(path, updates):
    """Train a halved sweep; leave it after so many further agents, as a killed process does."""
    axes = {"policy_lr": [1e38, 1e-2, 1e-1], "max_grad_norm": [0.1]}
    plan = make_plan(CONFIG, range(2), axes, False, 7)
    with contextlib.closing(SweepLoop(plan, path, 1, halving=3)) as loop:
        for _ in loop.train():
            if int(loop.results.updates.sum()) >= updates:
                break
    return loop.results


def test_halving_goes_on_with_the_better_ones(swept, tmp_path):
    """Of three settings one goes on, from where it was, also after interruptions."""
    path = tmp_path / "sweep"
    for updates, missing in ((3, "agents are missing"), (12, "halving goes on"), (17, "missing")):
        found = stopping_at(path, updates)  # 12 are the first part, whole
        with pytest.raises(ValueError, match=f"is not finished: .*{missing}"):
            load_sweep(path)
    found = stopping_at(path, 99)
    assert sorted(found.updates.tolist()) == [[2, 2], [2, 2], [5, 5]]
    np.testing.assert_array_equal(load_sweep(path).updates, found.updates)
    best = int(found.updates[:, 0].argmax())
    assert best > 0  # the first diverges
    for name, values in found.metrics.items():
        np.testing.assert_array_equal(values[best], swept[1].metrics[name][4 * best - 4, :2], name)
    (ranking,) = rank(found)
    first, *others = ranking_rows(ranking)
    assert (first[0], [row[3] for row in others]) == (str(best), ["stopped early"] * 2)


@pytest.mark.parametrize("halving", [1, 6])
def test_a_number_of_parts_that_is_refused(tmp_path, halving):
    with pytest.raises(ValueError, match=f"between 2 and num_updates, 5, not {halving}"):
        sweep(CONFIG, range(2), path=tmp_path / "sweep", halving=halving)
    assert not any(tmp_path.iterdir())


def test_slices_double_while_they_are_short(tmp_path):
    sweep(CONFIG, range(8), path=tmp_path / "sweep", num_episodes=7, devices=jax.devices()[:1])
    saved = saved_sweep(tmp_path / "sweep")
    assert [len(saved.load(file).agents) for file in saved.files()] == [1, 2, 4, 1]


@pytest.mark.parametrize(
    ("platforms", "width", "free", "rows"),
    [
        (("cpu",), None, 1e12, 128),  # cores gain nothing from more
        ((), None, 1e12, 1000),
        ((), None, 160e9, 800),  # of memory, half is taken
        ((), 7, 160e9, 7),
        ((), None, 0.15e9, 1),
    ],
)
def test_a_population_has_room_for_what_is_useful_and_fits(
    monkeypatch, platforms, width, free, rows
):
    class Fake:
        def __init__(self, config, devices, rows, num_episodes):
            self.rows, self.memory_bytes = rows, 0.1e9 * rows

    monkeypatch.setattr(population, "Population", Fake)
    monkeypatch.setattr(population, "ONE_BY_ONE", platforms)
    monkeypatch.setattr(population, "free_bytes", lambda: free)
    monkeypatch.setattr(population, "require_memory", lambda needed, remedy: None)
    found = population.make_population(CONFIG, 1000, jax.devices()[:1], width, 7)
    assert found.rows == rows


GUARANTEE = """
import sys, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
from pathlib import Path
from purejaxrl_reinforce import Config, load_sweep, sweep

one = load_sweep(Path(sys.argv[1]))  # trained on one device
first = {k: x[[0, 4]] for k, x in (one.metrics | {"evaluation": one.evaluation}).items()}

def run(devices, width, seeds=3):
    results = sweep(one.configs[0], range(seeds), {"policy_lr": [1e-2, 1e-1]}, slice_size=width,
                    devices=jax.devices()[:devices], num_episodes=7)
    return results.metrics | {"evaluation": results.evaluation}

for devices, width, seeds in ((2, 3, 3), (4, 1, 3), (4, None, 1)):  # more devices than agents too
    for name, values in run(devices, width, seeds).items():
        np.testing.assert_array_equal(values, first[name][:, :seeds], name)
"""


@pytest.mark.slow
def test_neither_devices_nor_slices_change_results(swept):
    path, _ = swept
    command = [sys.executable, "-c", GUARANTEE, str(path)]
    subprocess.run(command, check=True, timeout=400, cwd=ROOT)


def test_a_number_of_seeds_a_number_of_steps_and_progress(capsys):
    axes = {"num_envs": [2, 4]}
    results = sweep(CONFIG, 2, axes, num_episodes=1, total_steps=450, progress=True)
    assert results.seeds == [0, 1]
    assert [config.num_updates for config in results.configs] == [5, 2]  # of 80 and 160 steps
    assert "4/4 agents" in capsys.readouterr().err
    with pytest.raises(ValueError, match="total_steps must be at least"):
        sweep(CONFIG, 1, total_steps=3)
