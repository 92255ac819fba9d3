"""Checkpoints: exact, verified, refused where they do not belong."""

import json
import logging
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from purejaxrl_reinforce.execution.processes import to_host, to_local
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.output.checksums import write_sealed
from purejaxrl_reinforce.runs.checkpoint import (
    CheckpointError,
    CheckpointWriter,
    load_latest,
    truncate_checkpoints,
)
from tests.support.runs import TINY

SEED = 1


@pytest.fixture(scope="module")
def program():
    return Program(TINY, jax.random.key(SEED))


@pytest.fixture(scope="module")
def states(program):
    """The states after each of the six updates."""
    return [to_host(chunk.state) for chunk in program.run(every=1)]


@pytest.fixture(scope="module")
def written(states, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    write(directory, states[2:4])
    return directory


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copied")


def write(directory, states, returns=(0.0,) * 6, keep=3):
    writer = CheckpointWriter(directory, TINY, SEED, keep)
    for state, mean_return in zip(states, returns, strict=False):
        writer.save(state, 2.5, mean_return)
    writer.wait()
    writer.close()


def updates(directory):
    return [int(path.name) for path in sorted(directory.iterdir())]


def assert_same_bits(x, y):
    for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_what_comes_back_is_what_was_written(written, states):
    loaded, skipped = load_latest(written, TINY, SEED)
    assert skipped == []
    assert loaded.seconds == 2.5
    assert jax.tree.structure(loaded.state) == jax.tree.structure(states[3])
    assert_same_bits(loaded.state, states[3])


def test_training_resumes_from_it(written, program, states):
    loaded, _ = load_latest(written, TINY, SEED)
    *_, last = program.run(to_local(loaded.state, program.state))
    assert_same_bits(to_host(last.state), states[5])


def test_a_path_may_look_like_a_pattern(states, tmp_path):
    directory = tmp_path / "a\\b" / "lr=[0.1]*" / "checkpoints"
    directory.parent.mkdir(parents=True)
    write(directory, states[:1])
    assert_same_bits(load_latest(directory, TINY, SEED)[0].state, states[0])


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-2]),
    "emptied": lambda path: path.write_bytes(b""),
    **{
        f"flipped at {share:.0%}": lambda path, share=share: flip(path, share)
        for share in (0, 0.01, 0.3, 0.5, 0.8, 0.9, 0.97, 1)
    },
    "deleted": lambda path: path.unlink(),
}


def flip(path, share=0.5):
    """Flip a bit, `share` of the way through the file."""
    content = bytearray(path.read_bytes())
    content[round(share * (len(content) - 1))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", DAMAGES)
def test_any_damage_to_any_file_is_noticed(damage, copied):
    """Every file of a checkpoint in turn."""
    truncate_checkpoints(copied, 3)
    paths = sorted((copied / "000000003").iterdir())
    assert [path.name for path in paths] == ["manifest.json", "state.npz"]
    for path in paths:
        content = path.read_bytes()
        DAMAGES[damage](path)
        with pytest.raises(ValueError, match=r"000000003 is damaged: ") as error:
            load_latest(copied, TINY, SEED)
        assert path.name in str(error.value)
        path.write_bytes(content)
    assert load_latest(copied, TINY, SEED)[0] is not None


def test_the_one_before_a_damaged_checkpoint_is_used(copied, states):
    flip(copied / "000000004" / "state.npz")
    loaded, (line,) = load_latest(copied, TINY, SEED)
    assert_same_bits(loaded.state, states[2])
    assert line.endswith("000000004 is damaged: checksum mismatch in state.npz")


def test_where_none_is_intact_nothing_is_loaded(copied):
    for path in copied.glob("*/state.npz"):
        path.unlink()
    message = r"no intact checkpoint in .*000000004 is damaged: .* is missing; .*000000003 is"
    with pytest.raises(ValueError, match=message):
        load_latest(copied, TINY, SEED)


def test_where_there_is_none_nothing_is_loaded(tmp_path):
    assert load_latest(tmp_path / "nowhere", TINY, SEED) == (None, [])


@pytest.mark.parametrize(
    ("changes", "seed", "message"),
    [
        ({"policy_lr": 0.5}, SEED, "its policy_lr is 0.03, here it is 0.5"),
        ({"hidden_sizes": (9,)}, SEED, r"its hidden_sizes is \[8\], here it is \[9\]"),
        ({}, 2, "its seed is 1, here it is 2"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(changes, seed, message, written):
    with pytest.raises(ValueError, match=f"000000004 is of another run: {message}"):
        load_latest(written, replace(TINY, **changes), seed)


def test_a_checkpoint_of_fewer_updates_is_not_refused(written):
    assert load_latest(written, replace(TINY, num_updates=60), SEED)[0] is not None


def test_another_format_is_refused(copied):
    manifest = copied / "000000004" / "manifest.json"
    write_sealed(manifest, content_of(manifest) | {"format": 1})
    with pytest.raises(ValueError, match="has checkpoint format 1, of another release"):
        load_latest(copied, TINY, SEED)


def content_of(manifest):
    return json.loads(manifest.read_text(), parse_constant=pytest.fail)["content"]


def test_the_latest_and_the_best_are_kept(states, tmp_path):
    write(tmp_path, states, returns=(1.0, 9.0, 2.0, 3.0, float("nan"), 5.0), keep=2)
    assert updates(tmp_path) == [2, 5, 6]


def test_later_checkpoints_are_removed_and_files_of_others_stay(states, tmp_path):
    write(tmp_path, states[:4], keep=9)
    theirs = {"notes.txt", "unfinished-notes.txt", "0003", "000000003.json"}
    for name in theirs:
        (tmp_path / name).write_text("theirs")
    truncate_checkpoints(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"000000001", "000000002", *theirs}


def test_a_failed_save_is_an_error_and_leaves_nothing(states, tmp_path):
    writer = CheckpointWriter(tmp_path, TINY, SEED, 3)
    writer.save(states[0], 1.0, 0.0)
    writer.wait()
    in_the_way = tmp_path / "000000002"
    in_the_way.write_text("theirs")
    writer.save(states[1], 1.0, 0.0)
    with pytest.raises(CheckpointError, match=r"no checkpoint after update 2: .*Not a directory"):
        writer.wait()
    in_the_way.unlink()
    assert updates(tmp_path) == [1]
    writer.save(states[1], 1.0, 0.0)
    writer.close()
    assert updates(tmp_path) == [1, 2]


def test_what_cannot_be_read_back_is_no_checkpoint(states, tmp_path):
    """A state of another shape than the run's stands for all that reading may find."""
    config_file = tmp_path / "config.toml"
    config_file.touch()
    writer = CheckpointWriter(tmp_path / "checkpoints", replace(TINY, num_envs=9), SEED, 3)
    writer.save(states[0], 1.0, 0.0)
    with pytest.raises(CheckpointError, match=r"after update 1: .* another shape or dtype"):
        writer.wait()
    writer.close()
    assert list(tmp_path.iterdir()) == [config_file]


def test_manifests_say_what_was_saved(written):
    content = content_of(written / "000000004" / "manifest.json")
    assert (content["update"], content["seed"], content["config"]["num_envs"]) == (4, 1, 8)
    assert content["versions"]["jax"]
    assert content["env_steps"] > 0


def test_the_users_log_of_absl_stays_as_it_is(states, tmp_path):
    absl = logging.getLogger("absl")
    before = absl.level, absl.filters.copy()
    write(tmp_path, states[:1])
    load_latest(tmp_path, TINY, SEED)
    assert (absl.level, absl.filters) == before
    assert absl.isEnabledFor(logging.ERROR)
