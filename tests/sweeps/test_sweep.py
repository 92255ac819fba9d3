"""A sweep's agents are runs of their own, however they are trained together."""

import dataclasses
import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import Config, evaluate, sweep, train
from purejaxrl_reinforce.algorithm import reinforce as algorithm
from purejaxrl_reinforce.sweeps import population
from purejaxrl_reinforce.sweeps.results import load_sweep
from tests.support.processes import ROOT

CONFIG = Config(num_envs=4, num_steps=40, num_updates=5, hidden_sizes=(8,), bootstrap=True)
AXES = {"policy_lr": [1e-2, 1e-1], "num_envs": [4, 6], "max_grad_norm": [0.1, np.inf]}


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweeps") / "grid"
    return path, sweep(CONFIG, range(3), AXES, path=path, num_episodes=7)


def test_each_agent_is_the_run_of_its_key_alone(swept):
    _, results = swept
    assert len(results.configs) == 8
    for setting, config in enumerate(results.configs):
        for seed in (0, 2):
            state, metrics = train(config, jax.random.key(seed))
            alone = metrics._asdict() | {"env_steps": np.cumsum(metrics.num_steps)}
            for name, values in alone.items():
                np.testing.assert_array_equal(results.metrics[name][setting, seed], values, name)
            episodes = evaluate(config, state.params, jax.random.key(0), 7)
            np.testing.assert_array_equal(
                results.evaluation[setting, seed], episodes.episode_return
            )


def test_settings_share_their_seeds(swept):
    """Before anything is learned, floats make no difference: the episodes are the same."""
    _, results = swept
    first_returns = results.metrics["mean_return"][:, :, 0]
    lanes = np.array([config.num_envs for config in results.configs])
    for num_envs in (4, 6):
        same = first_returns[lanes == num_envs]
        np.testing.assert_array_equal(same, np.broadcast_to(same[0], same.shape))
    assert len(np.unique(first_returns[0])) == 3


def test_results_are_read_back(swept):
    path, results = swept
    loaded = load_sweep(path)
    assert loaded.axes == results.axes
    assert loaded.axes == {
        "policy_lr": (1e-2, 1e-1),
        "num_envs": (4, 6),
        "max_grad_norm": (0.1, np.inf),
    }
    assert loaded.configs == results.configs
    assert loaded.seeds == [0, 1, 2]
    assert loaded.labels[1] == "policy_lr=0.01, num_envs=4, max_grad_norm=inf"
    np.testing.assert_array_equal(loaded.evaluation, results.evaluation)
    assert results.evaluation.shape == (8, 3, 7)
    for name, values in results.metrics.items():
        assert values.shape == (8, 3, 5)
        np.testing.assert_array_equal(loaded.metrics[name], values)
    layout = loaded.to_rliable()
    assert list(layout) == loaded.labels
    np.testing.assert_array_equal(layout[loaded.labels[3]][:, 0], loaded.scores[3])
    assert {scores.shape for scores in layout.values()} == {(3, 1)}


def test_the_settings_are_strict_json(swept):
    def refuse(constant):
        raise AssertionError(constant)

    facts = json.loads((swept[0] / "sweep.json").read_text(), parse_constant=refuse)
    assert facts["settings"][5]["num_envs"] == 4
    assert facts["settings"][4]["max_grad_norm"] == 0.1
    assert facts["settings"][5]["max_grad_norm"] == "inf"
    assert facts["versions"]["jax"] == jax.__version__


def test_one_compilation_per_static_setting(monkeypatch):
    traced = []
    collect = algorithm.collect
    monkeypatch.setattr(
        algorithm, "collect", lambda *args: traced.append(args[0].num_envs) or collect(*args)
    )
    config = dataclasses.replace(CONFIG, num_updates=2, entropy_coef=0.25)
    axes = {"num_envs": [3, 5], "policy_lr": [0.1, 0.2, 0.3], "gamma": [0.8, 0.9]}
    sweep(config, range(2), axes, num_episodes=1)
    # With two lanes memory is estimated, without compiling anything.
    assert sorted(num_envs for num_envs in traced if num_envs > 2) == [3, 5]


def test_fewer_updates_are_padded(tmp_path, monkeypatch):
    monkeypatch.setattr(population, "LONGEST_CALL", 3)  # the longer ones take two calls
    axes = {"num_updates": [2, 4]}
    results = sweep(CONFIG, [5], axes, path=tmp_path / "s", num_episodes=2)
    assert results.metrics["mean_return"].shape == (2, 1, 4)
    assert np.isnan(results.metrics["mean_return"][0, 0, 2:]).all()
    assert np.isfinite(results.metrics["mean_return"][1]).all()
    assert not results.metrics["num_steps"][0, 0, 2:].any()
    assert not results.metrics["finite"][0, 0, 2:].any()
    assert results.metrics["finite"][1].all()
    _, alone = train(results.configs[1], jax.random.key(5))
    np.testing.assert_array_equal(results.metrics["policy_loss"][1, 0], alone.policy_loss)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([], "at least 1 seed"),
        ([0, 1.5, 3], "seed must be a whole number, not 1.5"),
        ([0, True], "seed must be a whole number, not True"),
        ([1, 2, 1], "a seed is there twice"),
        ([2**32], "seed must lie between 0 and"),
        (jax.random.split(jax.random.key(0, impl="rbg"), 2), "jax's default kind"),
        (jax.random.key(0), "keys"),
    ],
)
def test_keys_that_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        sweep(CONFIG, keys)


def test_environments_become_tasks():
    config = Config(num_envs=2, num_steps=20, num_updates=1, hidden_sizes=(4,))
    axes = {"env": ["CartPole-v1", "CartPole-v0"], "gamma": [0.9, 0.99]}
    results = sweep(config, [0, 1, 2], axes, num_episodes=2)
    layout = results.to_rliable()
    assert list(layout) == ["gamma=0.9", "gamma=0.99"]
    np.testing.assert_array_equal(layout["gamma=0.99"], results.scores[[1, 3]].T)


def test_agents_that_diverge_stand_still_alone():
    config = dataclasses.replace(CONFIG, baseline_lr=1e-3)
    results = sweep(config, range(2), {"policy_lr": [1e-2, 1e38]}, num_episodes=2)
    finite = results.metrics["finite"]
    assert finite[0].all()
    assert not finite[1].all()
    steps = results.metrics["env_steps"]
    assert (np.diff(steps[1])[~finite[1, :, 1:]] == 0).all()
    _, alone = train(results.configs[0], jax.random.key(1))
    np.testing.assert_array_equal(results.metrics["mean_return"][0, 1], alone.mean_return)


def test_side_by_side_as_on_an_accelerator(monkeypatch):
    """The path of accelerators, vmapped, on the CPU: the same agents up to rounding."""
    from purejaxrl_reinforce.sweeps import slice_size as slicing

    keys = jax.random.split(jax.random.key(3), 5)
    axes = {"policy_lr": [1e-2, 2e-2]}
    one_by_one = sweep(CONFIG, keys, axes, num_episodes=3)
    monkeypatch.setattr(slicing, "ONE_BY_ONE", ())
    monkeypatch.setattr(slicing, "LEAST_GROWTH", 0.0)  # whatever is measured, 4 after 1
    for width in (None, 3):
        together = sweep(CONFIG, keys, axes, width=width, num_episodes=3)
        np.testing.assert_array_equal(together.metrics["num_steps"][..., 0],
                                      one_by_one.metrics["num_steps"][..., 0])  # fmt: skip
        for name in ("mean_return", "policy_loss", "baseline_loss"):
            np.testing.assert_allclose(
                together.metrics[name], one_by_one.metrics[name], rtol=1e-3, atol=1e-5
            )


GUARANTEE = """
import sys, jax, numpy as np
jax.config.update("jax_num_cpu_devices", 4)
from purejaxrl_reinforce import Config
from purejaxrl_reinforce import sweep

config = Config(num_envs=4, num_steps=40, num_updates=5, hidden_sizes=(8,), bootstrap=True)
def run(devices, width, seeds=5):
    results = sweep(config, range(seeds), {"policy_lr": [1e-2, 1e-1]}, width=width,
                    devices=jax.devices()[:devices], num_episodes=4)
    return results.metrics | {"evaluation": results.evaluation}
first = run(1, 8)
for devices, width in ((1, 1), (2, 3), (4, 8), (4, 1)):
    exact = width >= devices  # else lanes are shared out
    for name, values in run(devices, width).items():
        if exact:
            np.testing.assert_array_equal(values, first[name], f"{name} {devices} {width}")
        else:
            np.testing.assert_allclose(values, first[name], rtol=1e-3, atol=1e-5)
fewer = run(4, None, seeds=1)
for name, values in fewer.items():
    np.testing.assert_allclose(values, first[name][:, :1], rtol=1e-3, atol=1e-5)
"""


def test_neither_devices_nor_slices_change_results():
    subprocess.run([sys.executable, "-c", GUARANTEE], check=True, timeout=400, cwd=ROOT)
