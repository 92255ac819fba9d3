"""A resumed run is the run that was never interrupted, bit for bit."""

from dataclasses import replace

import numpy as np
import pytest

from purejaxrl_reinforce import RunOptions, resume_run, train_run
from purejaxrl_reinforce.cli.main import main
from tests.support.configs import TEXTBOOK
from tests.support.processes import Command
from tests.support.runs import TINY, assert_same_run, contents_of, error_of, trained

CONFIG = replace(TINY, num_updates=24)
STREAM = TEXTBOOK.replace(
    num_envs=6, rollout="stream", num_steps=30, num_updates=24, hidden_sizes=(8,), bootstrap=True,
    normalize_obs=True, normalize_rewards=True,
)  # fmt: skip
SEED = 1


class FailAfter:
    """A logger, as a user may write one, that ends training after some update."""

    def __init__(self, last):
        self.last, self.seen, self.closed = last, [], False

    def log(self, update, metrics):
        self.seen.append(update)
        if update >= self.last:
            raise OSError("power cut")

    def close(self):
        self.closed = True


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """A run of CONFIG that was never interrupted; its first 6 updates are those of `run`."""
    path = tmp_path_factory.mktemp("straight") / "run"
    train_run(CONFIG, SEED, path)
    return path


def test_a_stream_interrupted_at_any_points_with_any_chunks(tmp_path):
    """Episodes are continued by `test_more_updates_can_be_asked_for`, and in test_faults.py."""
    run, straight = tmp_path / "run", train_run(STREAM, SEED, tmp_path / "straight").path
    logger = FailAfter(5)
    with pytest.raises(OSError, match="power cut"):
        train_run(STREAM, SEED, run, RunOptions(checkpoint_every=1), [logger])
    assert logger.closed
    assert logger.seen == [1, 2, 3, 4, 5]
    with pytest.raises(OSError, match="power cut"):
        resume_run(run, None, RunOptions(checkpoint_every=7), [FailAfter(15)])
    logger = FailAfter(99)
    resume_run(run, None, RunOptions(checkpoint_every=4), [logger])
    assert logger.seen[0] == 15  # after update 14, a chunk of one
    assert_same_run(run, straight)


def test_a_finished_run_stays_as_it_is(run, finished_run):
    assert main(["train", "--resume", str(run), "--quiet"]) == 0
    assert_same_run(run, finished_run)


def test_more_updates_can_be_asked_for(run, straight):
    assert main(["train", "--resume", str(run), "--num-updates", "24", "--quiet"]) == 0
    assert_same_run(run, straight)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-updates", "5"], "run has 6 updates already, more than num_updates=5"),
        (["--policy-lr", "1"], "but policy_lr differs; only num_updates can change"),
        (["--seed", "8"], "but seed differs; only num_updates can change"),
        (["--preset", "cartpole"], "give --resume or --preset, not both"),
    ],
)
def test_nothing_else_can_change(arguments, message, finished_run, capsys):
    before = contents_of(finished_run)
    assert message in error_of(["train", "--resume", str(finished_run), *arguments], capsys)
    assert contents_of(finished_run) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"checkpoint_every": 0}, "checkpoint_every must be at least 1, not 0"),
        ({"checkpoint_seconds": float("nan")}, "checkpoint_seconds must be at least 0, not nan"),
        ({"keep": 0}, "keep must be at least 1, not 0"),
        ({"loggers": ("nope",)}, "loggers are tensorboard and wandb, not 'nope'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RunOptions(**options)


def test_a_missing_extra_is_said_before_training(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    error = error_of(["train", "--wandb", "--run-dir", str(tmp_path / "run")], capsys)
    assert "pip install '.[wandb]'" in error
    assert not (tmp_path / "run").exists()


def test_tensorboard_and_wandb_get_the_metrics(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    options = RunOptions(loggers=("tensorboard", "wandb"), wandb={"group": "g", "tags": ("a", "b")})
    train_run(TINY, SEED, tmp_path / "run", options)
    (events,) = (tmp_path / "run" / "tensorboard").glob("events.out.tfevents.*")
    assert events.read_bytes().count(b"train/mean_return") == 6
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))


def test_on_another_number_of_devices_the_difference_is_rounding(run, straight, tmp_path):
    """Metrics agree to 1e-3 as long as no action tips over; here none does."""
    arguments = ["train", "--resume", run, "--num-updates", 24, "--quiet"]
    assert Command(*arguments, directory=tmp_path, devices=2).wait() == (0, "", "")
    (table, params), (other, other_params) = trained(run), trained(straight)
    np.testing.assert_allclose(table, other, rtol=1e-3, atol=1e-4)
    for name, array in params.items():
        np.testing.assert_allclose(array, other_params[name], atol=1e-4)
