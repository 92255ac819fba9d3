"""A resumed run is the run that was never interrupted, bit for bit."""

import os
import subprocess
import sys

import numpy as np
import pytest

from purejaxrl_reinforce import Config
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution import program as runner
from purejaxrl_reinforce.runs.host_loop import Hosting
from purejaxrl_reinforce.runs.train import resume_run, train_run
from tests.support.processes import ROOT
from tests.support.runs import assert_same_run, trained

CONFIG = Config(num_envs=8, num_steps=30, num_updates=24, hidden_sizes=(8,), anneal=False)
STREAM = Config(
    num_envs=6, rollout="stream", num_steps=30, num_updates=24, hidden_sizes=(8,), bootstrap=True
)
QUIET = Hosting(quiet=True, checkpoint_every=4)


class PowerCutError(Exception):
    """It failed."""


class FailAfter:
    """A logger, as a user may write one, that ends training after some update."""

    def __init__(self, last):
        self.last, self.seen, self.closed = last, [], False

    def log(self, update, metrics):
        self.seen.append((update, metrics["mean_return"]))
        if update >= self.last:
            raise PowerCutError

    def close(self):
        self.closed = True


@pytest.mark.parametrize("config", [CONFIG, STREAM], ids=lambda c: c.rollout)
def test_interrupted_at_any_points_with_any_chunks(config, tmp_path, monkeypatch):
    assert train_run(config, 7, tmp_path / "straight", Hosting(quiet=True)) == 0
    run = tmp_path / "run"
    monkeypatch.setattr(runner, "SECONDS_PER_CHUNK", 0.0)
    logger = FailAfter(5)
    with pytest.raises(PowerCutError):
        train_run(config, 7, run, QUIET, loggers=[logger])
    assert logger.closed
    assert [update for update, _ in logger.seen] == [1, 2, 3, 4, 5]
    monkeypatch.setattr(runner, "SECONDS_PER_CHUNK", 1e9)
    with pytest.raises(PowerCutError):
        resume_run(config, 7, run, Hosting(quiet=True, checkpoint_every=7), [FailAfter(15)])
    logger = FailAfter(99)
    assert resume_run(config, 7, run, QUIET, [logger]) == 0
    assert logger.seen[0][0] == 15  # after update 14, a chunk of one
    assert_same_run(run, tmp_path / "straight")
    # A run that has ended stays as it is.
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert_same_run(run, tmp_path / "straight")


def test_more_updates_can_be_asked_for(tmp_path, capsys):
    assert train_run(CONFIG, 7, tmp_path / "straight", QUIET) == 0
    run = tmp_path / "run"
    few = ["--num-envs", "8", "--num-steps", "30", "--hidden-sizes", "8", "--no-anneal", "--seed"]
    few = ["train", "--preset", "cartpole", *few, "7", "--num-updates", "10", "--quiet"]
    few += ["--advantage-norm", "standardize", "--no-bootstrap", "--gamma", "0.99"]
    few += ["--baseline-lr", "3e-2", "--policy-lr", "3e-2"]
    assert main([*few, "--run-dir", str(run)]) == 0
    assert main(["train", "--resume", str(run), "--num-updates", "24", "--quiet"]) == 0
    assert_same_run(run, tmp_path / "straight")
    before = sorted(
        (path, path.stat().st_mtime) for path in run.rglob("*") if path.name != "run.log"
    )
    for arguments, message in {
        ("--num-updates", "23"): f"{run} has 24 updates already, more than num_updates=23",
        ("--policy-lr", "1"): "but policy_lr differs; only num_updates can change",
        ("--seed", "8"): "but seed differs; only num_updates can change",
        ("--run-dir", "x"): "give --resume or --run-dir, not both",
        ("--preset", "cartpole"): "no --preset or --config",
    }.items():
        assert main(["train", "--resume", str(run), "--quiet", *arguments]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert message in error
    after = sorted(
        (path, path.stat().st_mtime) for path in run.rglob("*") if path.name != "run.log"
    )
    assert after == before


def test_bad_directories_are_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for name in ("nowhere", "empty"):
        assert main(["train", "--resume", str(tmp_path / name)]) == 2
        assert "is not a run directory: it has no config.toml" in capsys.readouterr().err
    assert train_run(CONFIG, 7, tmp_path / "run", QUIET) == 0
    metrics = tmp_path / "run" / "metrics.csv"
    metrics.write_text(metrics.read_text()[:300])
    assert main(["train", "--resume", str(tmp_path / "run")]) == 2
    assert "metrics.csv lacks some of the first 24 updates" in capsys.readouterr().err


def test_bad_intervals_are_refused(tmp_path, capsys):
    for option, value, message in (
        ("--checkpoint-every", "0", "checkpoint_every must be at least 1, not 0"),
        ("--checkpoint-seconds", "-1", "checkpoint_seconds must be at least 0, not -1"),
        ("--keep", "0", "keep must be at least 1, not 0"),
    ):
        assert main(["train", option, value, "--run-dir", str(tmp_path / "run")]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_missing_extra_is_said_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("tensorboard", "wandb"):
        assert main(["train", f"--{name}", "--run-dir", str(tmp_path / "run")]) == 2
        assert f"pip install 'purejaxrl_reinforce[{name}]'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_tensorboard_and_wandb_get_the_metrics(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setattr(runner, "SECONDS_PER_CHUNK", 0.0)
    hosting = Hosting(quiet=True, loggers=("tensorboard", "wandb"))
    assert train_run(CONFIG, 7, tmp_path / "run", hosting) == 0
    (events,) = (tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*")
    assert events.read_bytes().count(b"mean_return") == 24
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))


def test_the_best_checkpoint_and_the_log_survive_numbers_that_are_not_finite(tmp_path, capsys):
    config = Config(num_envs=8, num_steps=30, num_updates=9, hidden_sizes=(8,), policy_lr=1e38)
    assert train_run(config, 0, tmp_path / "run", QUIET) == 1
    assert "update 2 is not finite" in capsys.readouterr().err
    assert "error: update 2 is not finite" in (tmp_path / "run" / "run.log").read_text()
    assert [path.name for path in (tmp_path / "run" / "checkpoints").glob("*.json")] == [
        "000000001.json"
    ]


SCRIPT = """
import jax, json, sys
from pathlib import Path
from purejaxrl_reinforce.training import Hosting, resume_run
from purejaxrl_reinforce.config_file import load_run_config
assert len(jax.devices()) == 2
path = Path(sys.argv[1])
config, seed = load_run_config(path)
import dataclasses
config = dataclasses.replace(config, num_updates=24)
assert resume_run(config, seed, path, Hosting(quiet=True)) == 0
"""


def test_on_another_number_of_devices_the_difference_is_rounding(tmp_path):
    """README: metrics to 1e-3, as long as no action tips over; here none does."""
    short = Config(**{**vars(CONFIG), "num_updates": 20, "policy_lr": 1e-3})
    long = Config(**{**vars(short), "num_updates": 24})
    assert train_run(long, 7, tmp_path / "straight", QUIET) == 0
    assert train_run(short, 7, tmp_path / "run", QUIET) == 0
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "run")],
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "2", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (table, params), (other, other_params) = (trained(tmp_path / n) for n in ("run", "straight"))
    np.testing.assert_allclose(table, other, rtol=1e-3, atol=1e-4)
    for name, array in params.items():
        np.testing.assert_allclose(array, other_params[name], atol=1e-4)
