"""Checkpoints: exact, verified, refused where they do not belong."""

import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest

from purejaxrl_reinforce.execution.processes import to_host
from purejaxrl_reinforce.execution.program import Program
from purejaxrl_reinforce.runs.checkpoint import load_latest, save_checkpoint
from tests.support.runs import TINY

OWNER = "a-run"


@pytest.fixture(scope="module")
def states():
    """The states after each of the six updates."""
    program = Program(TINY, jax.random.key(1))
    return [to_host(chunk.state) for chunk in program.run(every=1)]


@pytest.fixture(scope="module")
def written(states, tmp_path_factory):
    directory = tmp_path_factory.mktemp("run") / "checkpoints"
    write(directory, states[2:4])
    return directory


@pytest.fixture
def copied(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copied")


def write(directory, states, returns=(0.0,) * 6, keep=3, owner=OWNER):
    for state in states:
        save_checkpoint(directory, state, owner, np.array(returns[: int(state.update)]), keep)


def names(directory):
    return sorted(path.name for path in directory.iterdir())


def assert_same_bits(x, y):
    for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def flip(path, place):
    """Flip a bit, so many bytes after the beginning of the first array or, if negative, the end."""
    content = bytearray(path.read_bytes())
    content[place if place < 0 else content.index(b"\x93NUMPY") + place] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-2]),
    "emptied": lambda path: path.write_bytes(b""),
    **{
        f"flipped at {place}": lambda path, place=place: flip(path, place)
        for place in (0, 10, 130, -22)
    },
    "another format": lambda path: None,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_one_before_a_damaged_checkpoint_is_used(damage, copied, states, monkeypatch):
    latest, older = copied / "000000004.npz", copied / "000000003.npz"
    DAMAGES[damage](latest)
    if damage == "another format":
        monkeypatch.setattr("purejaxrl_reinforce.runs.checkpoint.FORMAT", 1)
        write(copied, states[3:4])
        monkeypatch.undo()
    loaded, (line,) = load_latest(copied, TINY, OWNER)
    assert_same_bits(loaded, states[2])
    assert line.startswith(f"{latest} ")
    older.unlink()
    with pytest.raises(ValueError, match=r"no intact checkpoint in .*000000004"):
        load_latest(copied, TINY, OWNER)


def test_a_renamed_checkpoint_is_refused(copied):
    (copied / "000000003.npz").rename(copied / "000000002.npz")
    (copied / "000000004.npz").rename(copied / "000000003.npz")
    with pytest.raises(ValueError, match=r"000000003.npz was renamed: it is of update 4"):
        load_latest(copied, TINY, OWNER)


def test_a_checkpoint_of_another_run_is_refused(copied, states):
    write(copied, states[4:5], owner="another-run")
    loaded, (line,) = load_latest(copied, TINY, OWNER)
    assert "000000005.npz belongs to another run" in line
    assert_same_bits(loaded, states[3])
    with pytest.raises(ValueError, match=r"does not fit the configuration: .* another shape"):
        load_latest(copied, replace(TINY, hidden_sizes=(9,)), OWNER)


def test_other_random_numbers_are_refused(written):
    with (
        jax.threefry_partitionable(False),
        pytest.raises(ValueError, match="jax_threefry_partitionable=True, here it is False"),
    ):
        load_latest(written, TINY, OWNER)


def test_the_latest_and_the_best_are_kept(states, tmp_path):
    write(tmp_path, states, returns=(1.0, 9.0, 2.0, 3.0, float("nan"), 5.0), keep=2)
    assert names(tmp_path) == [f"00000000{update}.npz" for update in (2, 5, 6)]
