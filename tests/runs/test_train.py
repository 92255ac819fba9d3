"""What a run returns, raises and prints."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import Hosting, TerminalReporter, train_run
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution.program import NonFiniteError
from purejaxrl_reinforce.runs.load import load_history, load_policy
from tests.support.runs import FILES, TINY

SEED = 1
BROKEN = replace(TINY, policy_lr=1e38)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return train_run(TINY, SEED, tmp_path_factory.mktemp("runs") / "run")


def test_a_result_says_what_was_trained_and_where(result):
    assert (result.config, result.seed, result.num_updates) == (TINY, SEED, 6)
    assert {path.name for path in result.path.iterdir()} == FILES
    assert result.checkpoint == result.path / "checkpoints" / "000000006"
    assert result.signal is None
    assert result.seconds > 0


def test_its_metrics_are_those_of_the_file(result):
    history = load_history(result.path)
    assert list(history.metrics) == list(result.metrics)
    for name, column in history.metrics.items():
        np.testing.assert_array_equal(column, result.metrics[name])


def test_its_state_is_that_of_the_file(result):
    _, params = load_policy(result.path)
    jax.tree.map(np.testing.assert_array_equal, result.state.params, params)


def test_a_library_call_prints_nothing(tmp_path, capfd):
    train_run(TINY, SEED, tmp_path / "run")
    assert capfd.readouterr() == ("", "")


def test_a_reporter_shows_progress(tmp_path, capsys):
    train_run(TINY, SEED, tmp_path / "run", reporter=TerminalReporter())
    output, errors = capsys.readouterr()
    assert output.startswith("CartPole-v1 on cpu: 8 lanes, 6 updates, seed 1; compiling\n")
    assert f"{tmp_path / 'run'}: checkpoints, config.toml, metrics.csv" in output
    assert errors.splitlines()[-1].startswith("update 6/6 ")


def test_numbers_that_are_not_finite_raise_after_all_is_saved(tmp_path):
    run = tmp_path / "run"
    with pytest.raises(NonFiniteError, match="update 4 is not finite"):
        train_run(BROKEN, SEED, run, Hosting(checkpoint_every=2))
    assert {path.name for path in run.iterdir()} == FILES
    assert "error: update 4 is not finite" in (run / "run.log").read_text()
    assert {path.stem for path in (run / "checkpoints").iterdir()} == {"000000002", "000000003"}
    assert len(load_history(run).metrics["update"]) == 3


def test_numbers_that_are_not_finite_are_exit_code_1(finished_run, tmp_path, capsys):
    arguments = ["--config", str(finished_run / "config.toml"), "--policy-lr", "1e38", "--quiet"]
    assert main(["train", *arguments, "--run-dir", str(tmp_path / "run")]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: update 4 is not finite: ")
    assert errors.endswith("; kept the parameters from before it\n")


class FullDisk:
    def log(self, update, metrics):
        raise OSError("No space left on device")

    def close(self):
        pass


def test_files_that_cannot_be_written_raise(tmp_path):
    message = f"cannot write to {tmp_path / 'run'}: No space left on device"
    with pytest.raises(OSError, match=message):
        train_run(TINY, SEED, tmp_path / "run", loggers=[FullDisk()])
    assert f"error: {message}" in (tmp_path / "run" / "run.log").read_text()
