"""What TensorBoard and Weights & Biases get of a sweep: means over the seeds of each setting."""

import shutil

import numpy as np
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.sweeps.outputs import log_curves, means_over_seeds
from tests.support.sweeps import GRID, made_up


@pytest.fixture
def results():
    """Two settings, of 3 and 2 updates, with four seeds: 10, 0, 20 and 60 in the first update."""
    configs = [Config(num_updates=n, policy_lr=n / 100) for n in (3, 2)]
    seeds = np.array([10.0, 0.0, 20.0, 60.0])[:, None]
    axes = {"policy_lr": (0.03, 0.02), "num_updates": (3, 2)}
    return made_up(axes, configs, np.zeros((2, 4, 1)), seeds + np.arange(3), 100)


def test_it_is_the_interquartile_mean_at_each_update(results):
    for setting, updates in enumerate((3, 2)):
        means = means_over_seeds(results, setting)
        np.testing.assert_allclose(means["mean_return"], 15 + np.arange(updates))
        np.testing.assert_array_equal(means["env_steps"], [100] * updates)


def test_updates_that_a_seed_does_not_have_are_left_out(results):
    results.metrics["finite"][0, 3, 1:] = False
    results.metrics["mean_return"][0, :, 2] = np.nan
    np.testing.assert_allclose(means_over_seeds(results, 0)["mean_return"], [15, 11, np.nan])


def test_each_setting_is_a_run(results, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    log_curves(tmp_path, results, ("tensorboard", "wandb"), {"tags": ("a",)})
    directories = sorted((tmp_path / "tensorboard").iterdir())
    assert [x.name.partition(" ")[0] for x in directories] == ["setting0", "setting1"]
    events = [next(x.glob("events.out.tfevents.*")).read_bytes() for x in directories]
    assert [content.count(b"train/mean_return") for content in events] == [3, 2]
    assert len(list((tmp_path / "wandb").glob("offline-run-*/run-*.wandb"))) == 2


def test_a_finished_sweep_can_be_logged_afterwards(finished_sweep, tmp_path):
    path = shutil.copytree(finished_sweep, tmp_path / "sweep")
    assert main([*GRID, "--quiet", "--sweep-dir", str(path), "--tensorboard"]) == 0
    assert len(list((path / "tensorboard").iterdir())) == 4
