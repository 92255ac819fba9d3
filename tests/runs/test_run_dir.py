"""Run directories: what is ours is written, removed and found missing; nothing else is touched.

And what a run returns and raises, and what is read back of runs and of agents of sweeps.
"""

import errno
import shutil

import jax
import numpy as np
import pytest

from purejaxrl_reinforce import (
    Reporter,
    RunOptions,
    load_run,
    load_sweep,
    resume_run,
    step,
    train_run,
)  # fmt: skip
from purejaxrl_reinforce.cli.main import main
from purejaxrl_reinforce.execution.program import NonFiniteError
from purejaxrl_reinforce.runs import loggers
from purejaxrl_reinforce.runs.run_dir import RunDirectory
from purejaxrl_reinforce.sweeps.command import extract_agent
from tests.support.processes import full_disk
from tests.support.runs import FILES, TINY, assert_same_run, error_of

SEED = 1


class At:
    """A logger that does something at an update."""

    def __init__(self, update, do):
        self.update, self.do = update, do

    def log(self, update, _metrics):
        if update == self.update:
            self.do()

    def close(self):
        pass


class Silent(Reporter):
    """A reporter whose warnings are not errors, as those of Python are in tests."""

    def warn(self, message):
        pass


def names(path):
    return {entry.name for entry in path.iterdir()}


def train_until(path, do, update=3, every=None):
    """Train until something happens at an update; return the one line that tells of it."""
    options = RunOptions(checkpoint_every=every, keep=6)
    with pytest.raises(OSError, match=f"^cannot write to {path}: ") as error:
        train_run(TINY, SEED, path, options, [At(update, do)], Silent())
    return str(error.value)


def test_a_removed_directory_is_found_missing_and_stays_away(tmp_path):
    path = tmp_path / "run"
    message = train_until(path, lambda: shutil.rmtree(path), update=6)
    assert message.endswith(": it was removed or renamed")
    assert not path.exists()


def test_a_run_that_took_the_place_of_one_without_updates_stays(tmp_path, finished_run):
    run = RunDirectory(tmp_path / "run", TINY, SEED, "owner")
    run.create()
    run.path.rename(tmp_path / "renamed")
    shutil.copytree(finished_run, run.path)
    run.undo()
    assert_same_run(run.path, finished_run)


def test_a_renamed_directory_resumes(tmp_path, finished_run):
    path, renamed = tmp_path / "run", tmp_path / "renamed"
    message = train_until(path, lambda: path.rename(renamed), every=1)
    assert "removed or renamed" in message or "No such file" in message
    assert not path.exists()
    assert main(["train", "--resume", str(renamed), "--quiet"]) == 0
    assert_same_run(renamed, finished_run)


def test_without_its_last_checkpoint_a_run_has_no_results_and_resumes(tmp_path, finished_run):
    path = tmp_path / "run"
    in_the_way = path / "checkpoints" / "000000006.npz"
    assert "no checkpoint after update 6" in train_until(path, in_the_way.mkdir, every=1)
    assert "params.npz" not in names(path)
    in_the_way.rmdir()
    assert main(["train", "--resume", str(path), "--quiet"]) == 0
    assert_same_run(path, finished_run)


class FailsToStart(Reporter):
    def compiling(self, _config, _seed, _resumed):
        raise KeyboardInterrupt


def test_what_fails_before_training_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        train_run(TINY, SEED, tmp_path / "new" / "run", reporter=FailsToStart())
    monkeypatch.setattr(loggers, "_TensorBoard", None)
    with pytest.raises(ValueError, match="--tensorboard cannot start"):
        train_run(TINY, SEED, tmp_path / "new" / "run", RunOptions(loggers=("tensorboard",)))
    assert names(tmp_path) == set()


def test_a_full_disk_is_an_error_of_tensorboard_and_no_hang(tmp_path):
    (logger,) = loggers.make_loggers(("tensorboard",), tmp_path, {}, 0, {})
    with full_disk(1_000), pytest.raises(OSError, match="File too large"):
        logger.log(1, {f"metric{i}": 1.0 for i in range(1_000)})
    logger.close()


@pytest.mark.parametrize(
    ("config", "seed"), [(TINY, -1), (TINY, 2**32), (TINY, True), (TINY, 1.0), (None, SEED)]
)
def test_what_is_no_seed_and_no_configuration_is_refused(config, seed, tmp_path):
    with pytest.raises(ValueError, match="seed must" if config else "must be a Config, not None"):
        train_run(config, seed, tmp_path / "run")
    assert names(tmp_path) == set()


def test_a_directory_of_which_only_the_first_files_were_written_is_new(tmp_path):
    (tmp_path / "run.log").touch()
    (tmp_path / f"unfinished-{'0' * 32}.toml").write_text("seed = ")
    run = RunDirectory(tmp_path, TINY, SEED, "owner")
    run.create()
    run.close()
    assert names(tmp_path) == {"run.log", "machine.json", "config.toml", "metrics.csv"}


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
@pytest.mark.parametrize("verb", ["train --run-dir", "sweep --num-seeds 2 --sweep-dir"])
def test_a_file_system_without_locks_keeps_nothing(verb, number, tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise OSError(number, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    verb, *options, directory = verb.split()
    arguments = ["--num-envs", "8", "--num-steps", "20", "--hidden-sizes", "8", "--quiet"]
    error = error_of([verb, *arguments, *options, directory, str(tmp_path / "a" / "b")], capsys)
    assert "its file system has no locks (No locks available)" in error
    assert names(tmp_path) == set()


def test_force_replaces_a_run(run, tmp_path):
    train_run(TINY.replace(num_updates=2), SEED, run, force=True)
    assert names(tmp_path) == {"run"}
    assert names(run) == FILES
    assert len(np.load(run / "rewards.npy")) == 2


@pytest.mark.parametrize(("update", "found"), [(1, {"run"}), (4, {"run", "run-replaced"})])
def test_force_keeps_the_old_run_where_the_new_one_fails(
    update, found, run, tmp_path, finished_run
):
    """It comes back where the new one has no update at all."""
    first = {"policy_lr": 1e38} if update == 4 else {"entropy_coef": 1e38}
    with pytest.raises(NonFiniteError, match=f"update {update} "):
        train_run(TINY.replace(**first), SEED, run, force=True)
    assert names(tmp_path) == found
    assert_same_run(tmp_path / sorted(found)[-1], finished_run)


@pytest.mark.parametrize("name", ["run.log", "unfinished-config.toml", "notes.txt"])
def test_files_of_others_make_a_directory_not_new(name, tmp_path, capsys):
    (tmp_path / name).write_text("theirs")
    error = error_of(["train", "--run-dir", str(tmp_path)], capsys)
    assert "exists and is not empty" in error
    assert names(tmp_path) == {name}


def test_a_run_without_metrics_yet_is_resumed(tmp_path, finished_run):
    path = tmp_path / "run"
    path.mkdir()
    shutil.copy(finished_run / "config.toml", path)
    (path / "run.log").touch()
    assert main(["train", "--resume", str(path), "--quiet"]) == 0
    assert_same_run(path, finished_run)


def assert_equal(tree, other):
    jax.tree.map(np.testing.assert_array_equal, tree, other)


def test_a_result_is_what_was_saved_and_nothing_is_printed(tmp_path, capfd):
    result = train_run(TINY, 1, tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert (result.config, result.seed, result.num_updates) == (TINY, 1, 6)
    assert {path.name for path in result.path.iterdir()} == FILES
    assert result.checkpoint == result.path / "checkpoints" / "000000006.npz"
    assert result.signal is None
    assert result.seconds > 0
    saved = load_run(str(result.path))
    assert (saved.config, saved.seed, saved.owner) == (TINY, 1, result.owner)
    assert len(saved.metrics["mean_return"]) == 6
    assert_equal((saved.metrics, saved.params), (result.metrics, result.params))
    assert_equal(saved.params, saved.state.params)
    assert int(step(saved.config, saved.state)[0].update) == 7


def test_numbers_that_are_not_finite_end_a_run_after_all_is_saved(finished_run, tmp_path, capsys):
    run, config = tmp_path / "run", str(finished_run / "config.toml")
    options = ["--policy-lr", "1e38", "--checkpoint-every", "2", "--quiet", "--run-dir", str(run)]
    assert main(["train", "--config", config, *options]) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("error: update 4 is not finite: ")
    assert errors.endswith("; earlier updates are kept\n")
    assert {path.name for path in run.iterdir()} == FILES
    assert "error: update 4 is not finite" in (run / "run.log").read_text()
    assert {path.stem for path in (run / "checkpoints").iterdir()} == {"000000002", "000000003"}
    assert len(load_run(run).metrics["update"]) == 3


class Failing:
    closed = False

    def log(self, update, metrics):
        raise OSError("mine")

    def close(self):
        self.closed = True
        raise OSError("mine, too")


def test_errors_of_loggers_and_callbacks_are_their_own_and_all_loggers_are_closed(tmp_path):
    failing = [Failing(), Failing()]
    with pytest.raises(OSError, match=r"^mine, too$") as error:
        train_run(TINY, 1, tmp_path / "run", loggers=failing)
    assert str(error.value.__context__) in ("mine", "mine, too")
    assert all(logger.closed for logger in failing)
    assert "error: mine" in (tmp_path / "run" / "run.log").read_text()
    with pytest.raises(OSError, match=r"^mine$"):
        train_run(TINY, 1, tmp_path / "other", callback=Failing().log)


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
    result = train_run(config, np.int64(1), tmp_path / "run")
    run = load_run(tmp_path / "run")
    assert_equal(run.params, result.params)
    assert {x.dtype.name for x in jax.tree.leaves(run.params.policy)} == {"bfloat16"}
    assert_equal(run.state.params, result.params)


def test_resuming_needs_the_directory_alone(run):
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
