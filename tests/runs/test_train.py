"""What a run returns, raises and prints; runs and agents of sweeps read back in Python."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import (
    RunOptions,
    TerminalReporter,
    load_run,
    load_sweep,
    resume_run,
    step,
    train_run,
)
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution.program import NonFiniteError
from purejaxrl_reinforce.sweeps.command import extract_agent
from tests.support.runs import FILES, TINY

SEED = 1
BROKEN = replace(TINY, policy_lr=1e38)


def assert_equal(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_a_result_is_what_was_saved_and_nothing_is_printed(tmp_path, capfd):
    result = train_run(TINY, SEED, tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert (result.config, result.seed, result.num_updates) == (TINY, SEED, 6)
    assert {path.name for path in result.path.iterdir()} == FILES
    assert result.checkpoint == result.path / "checkpoints" / "000000006.npz"
    assert result.signal is None
    assert result.seconds > 0
    saved = load_run(result.path)
    assert saved.owner == result.owner
    assert_equal((saved.metrics, saved.params), (result.metrics, result.params))


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
