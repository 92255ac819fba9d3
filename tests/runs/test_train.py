"""What a run returns, raises and prints."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import RunOptions, TerminalReporter, load_run, train_run
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution.program import NonFiniteError
from tests.support.runs import FILES, TINY

SEED = 1
BROKEN = replace(TINY, policy_lr=1e38)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return train_run(TINY, SEED, tmp_path_factory.mktemp("runs") / "run")


def test_a_result_says_what_was_trained_and_where(result):
    assert (result.config, result.seed, result.num_updates) == (TINY, SEED, 6)
    assert {path.name for path in result.path.iterdir()} == FILES
    assert result.checkpoint == result.path / "checkpoints" / "000000006.npz"
    assert result.signal is None
    assert result.seconds > 0


def test_its_metrics_are_those_of_the_file(result):
    saved = load_run(result.path)
    assert saved.owner == result.owner
    assert list(saved.metrics) == list(result.metrics)
    for name, column in saved.metrics.items():
        np.testing.assert_array_equal(column, result.metrics[name])


def test_its_state_is_that_of_the_file(result):
    jax.tree.map(np.testing.assert_array_equal, result.params, load_run(result.path).params)


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
        train_run(BROKEN, SEED, run, RunOptions(checkpoint_every=2))
    assert {path.name for path in run.iterdir()} == FILES
    assert "error: update 4 is not finite" in (run / "run.log").read_text()
    assert {path.stem for path in (run / "checkpoints").iterdir()} == {"000000002", "000000003"}
    assert len(load_run(run).metrics["update"]) == 3


def test_numbers_that_are_not_finite_are_exit_code_1(finished_run, tmp_path, capsys):
    arguments = ["--config", str(finished_run / "config.toml"), "--policy-lr", "1e38", "--quiet"]
    assert main(["train", *arguments, "--run-dir", str(tmp_path / "run")]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: update 4 is not finite: ")
    assert errors.endswith("; kept everything from before it\n")


class Failing:
    """A logger that fails, and one more that notes whether it was closed."""

    def __init__(self):
        self.closed = False

    def log(self, update, metrics):
        raise OSError("mine")

    def close(self):
        self.closed = True
        raise OSError("mine, too")


def test_errors_of_a_users_logger_are_its_own_and_all_loggers_are_closed(tmp_path):
    failing = [Failing(), Failing()]
    with pytest.raises(OSError, match=r"^mine, too$") as error:
        train_run(TINY, SEED, tmp_path / "run", loggers=failing)
    assert str(error.value.__context__) in ("mine", "mine, too")
    assert all(logger.closed for logger in failing)
    assert "error: mine" in (tmp_path / "run" / "run.log").read_text()


def test_errors_of_a_callback_are_its_own(tmp_path):
    def fail(_update, _metrics):
        raise OSError("mine")

    with pytest.raises(OSError, match=r"^mine$"):
        train_run(TINY, SEED, tmp_path / "run", callback=fail)
